"""From files to batches: examples, clips, the latent cache, the mixture."""

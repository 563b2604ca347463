"""From files to batches: examples, clips, the latent cache and the mixture."""

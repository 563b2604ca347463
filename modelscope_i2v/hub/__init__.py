"""Models on the hub: what is in the cache, what of it was verified, and how the rest gets there."""

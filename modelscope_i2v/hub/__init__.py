"""Models on the hub: which files are in the cache, which of them are verified, and how to download the rest."""

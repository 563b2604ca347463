"""Reads files written by torch.save without running anything in them."""

"""Loads a picture from any source as upright RGB, and prepares it for CLIP."""

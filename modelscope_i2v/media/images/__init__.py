"""Pictures in: from any source to upright RGB, and on to what CLIP takes."""

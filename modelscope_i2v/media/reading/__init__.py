"""Reads a video from any source as a stream of upright RGB frames with their times."""

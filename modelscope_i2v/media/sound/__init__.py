"""Carries the sound of a video over into a new video."""

"""Stage 2: a video becomes a sharper one of higher resolution, guided by text."""

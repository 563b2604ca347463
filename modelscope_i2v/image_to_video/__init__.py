"""Stage 1: a picture becomes a short video."""

"""Videos out: MP4, GIF and WebP, whole or not at all."""

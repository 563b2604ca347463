"""Images in, videos in and out: reading images, writing and probing videos, and the recipe that a video carries."""

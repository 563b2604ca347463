"""What one sees in a video, measured: the camera's move, a sprite's move, and whether the picture is still the same."""

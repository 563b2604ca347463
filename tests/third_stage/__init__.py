"""A third stage, which makes a video from a text alone: adding one takes a folder like this and a line."""

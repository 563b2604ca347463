"""Limits of a written video. Arguments and configurations are checked against the same numbers."""

#: The lowest and the highest frame rate, in frames per second.
MIN_FPS, MAX_FPS = 0.001, 1000
#: Largest width and height of an H.264 frame, in pixels.
MAX_SIDE = 16384
#: Largest number of frames in one video. It keeps sizes within reason; memory runs out long before this limit.
MAX_FRAMES = 1_000_000

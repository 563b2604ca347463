"""What a written video can hold; arguments and configurations are held against the same numbers."""

#: The slowest and the fastest rate, in frames per second.
MIN_FPS, MAX_FPS = 0.001, 1000
#: Pixels on a side of an H.264 frame.
MAX_SIDE = 16384
#: Frames of one video. It keeps sizes countable; memory runs out long before.
MAX_FRAMES = 1_000_000

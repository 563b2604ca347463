"""The scenes of the embedded models' world, each drawn from a random generator: sprites, landscapes, colour layouts.

Lengths are in units of which a picture has 64 per side, times in eighths of a second, whatever the resolution and the
frame rate; y grows downwards.
"""

"""Training of small models, from nothing.

``python -m demo_training.emoji_and_photographs`` trains those that ship with the package, ``python -m demo_training``
those of the first generation, on which benchmarks measure (``benchmarks/first_generation``).
"""

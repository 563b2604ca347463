"""Training of the embedded models, from nothing to the two folders that ship.

Run it with ``python -m demo_training``.
"""

"""Measurements, not tests. The machines are noisy, so performance is measured as a ratio of two things run in turn."""

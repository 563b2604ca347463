"""Measurements, not tests: these machines are noisy, so performance is a ratio of two things run in turn."""

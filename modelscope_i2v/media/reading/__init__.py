"""Videos in: from any source to a stream of upright RGB frames with their times."""

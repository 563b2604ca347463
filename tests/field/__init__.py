"""Files as people really have them: what they are, and what the right pixels and seconds are."""

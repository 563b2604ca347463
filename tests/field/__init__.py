"""Files as people really have them, each kind with the right value beside it."""

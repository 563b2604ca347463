"""Where and how the networks run: device, precision, attention back end, progress."""

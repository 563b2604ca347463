"""Files and values that somebody made to break us: each ends in one of our errors, soon, and with little memory."""

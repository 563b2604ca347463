"""A hub of ModelScope models on the loopback interface, and what the real client and our code make of it."""

"""A hub of ModelScope models on the loopback interface, and tests of the real client and our code against it."""

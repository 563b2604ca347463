"""Marks a test whose file stands in the table of ``docs/formats.md``."""


def documented(file, outcome):
    """Decorate a test: what ``file`` it makes, and what comes of it, each in a few words for users."""

    def mark(test):
        test.documented = (file, outcome)
        return test

    return mark

"""Pictures as people really have them."""

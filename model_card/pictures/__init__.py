"""Pictures of the model pages, made by scripts."""

"""The sound track that a video takes along."""

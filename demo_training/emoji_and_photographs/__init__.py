"""The recipe of the embedded second generation: animated emoji and photographs, moved by a camera with a name."""

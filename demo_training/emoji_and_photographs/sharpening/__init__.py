"""Stage 2 of the embedded second generation: it makes videos of 128x128 pixels twice as large, and sharp."""

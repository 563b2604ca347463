"""The measurements of ``benchmarks.embedded_quality``, one module per question. Videos are float32 RGB in 0..1."""

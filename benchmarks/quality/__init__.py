"""What ``benchmarks.embedded_quality`` measures; one module a question. Videos are float32 RGB in 0..1."""

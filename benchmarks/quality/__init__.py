"""What ``benchmarks.first_generation.quality`` measures, one module per question. Videos are float32 RGB in 0..1."""

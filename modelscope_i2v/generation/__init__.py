"""What every stage shares: arguments, configuration, model, pipeline, early checks, loading, the chain."""

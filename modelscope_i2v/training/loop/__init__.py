"""The training loop for any network: steps, checkpoints, averages, logs."""

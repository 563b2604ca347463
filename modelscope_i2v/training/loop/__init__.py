"""The training loop, whatever the network: steps, checkpoints, averages, logs."""

"""LoRA files: reading them, and adding them to a UNet's weights."""

"""Reads LoRA files and adds them to a UNet's weights."""

"""Videos as phones, cameras, editors and screen recorders write them."""

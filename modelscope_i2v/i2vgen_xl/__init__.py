"""I2VGen-XL, the second generation of image-to-video: a picture and a text become a video that keeps the picture."""

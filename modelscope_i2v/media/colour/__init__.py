"""Colour of video: from the code points of ITU-T H.273 that a file carries to the pixels of an ordinary screen."""

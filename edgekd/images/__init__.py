"""Torch-free images: files become canvases, canvases become views."""

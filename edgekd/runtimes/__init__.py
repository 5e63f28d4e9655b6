"""Deployed model files: described, opened and run; torch-free."""

"""A student distilled and alone, side by side."""

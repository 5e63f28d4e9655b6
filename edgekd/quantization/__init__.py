"""INT8: one grid of scales and zero points, two ways to find it, one writer of QDQ files."""

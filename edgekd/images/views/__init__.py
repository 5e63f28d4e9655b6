"""Views of a canvas: augmentation as a pure function of (seed, view, index), in integers alone."""

"""Images as torch batches; where they come from is edgekd.images' and sources' business."""

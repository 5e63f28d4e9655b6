"""Networks by name: the papers' families, edgekd's own small nets, every timm model, the user's own file."""

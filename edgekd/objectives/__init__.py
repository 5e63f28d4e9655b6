"""What is learnt: named loss parts of a batch, from labels, a teacher, or peers."""

"""What a simple judge of words can learn from pairs, before any model is trained on them."""

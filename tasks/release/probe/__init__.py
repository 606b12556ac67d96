"""What a simple judge of words can learn from the pairs, before any model is trained on them."""

"""What a bag-of-words probe can learn from the pairs before any model is trained on them."""

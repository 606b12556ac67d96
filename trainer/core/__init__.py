"""What every method of training shares: reading a release, tokens, models, batches, log-probabilities, statistics."""

"""What there is to find out about the pairs: spurious cues, annotators, models."""

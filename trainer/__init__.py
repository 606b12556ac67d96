"""What learns: training and evaluation. Knows releases, not how pairs were made."""

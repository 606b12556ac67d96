"""What can be known to go wrong before anything runs: `pairwright check`, and what `run` and `serve` ask first."""

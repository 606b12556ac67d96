"""What differs between two versions of a dataset, pair by pair, and why."""

"""Checkpoints: which run they are of, what is in them, whether they are whole, and whether a run is still worth saving."""

"""Analyses of the pairs: spurious cues, annotators, models."""

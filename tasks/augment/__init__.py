"""Stage `augment`: reworded variants of training prompts."""

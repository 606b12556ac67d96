"""Stage `augment`: paraphrased variants of training prompts."""

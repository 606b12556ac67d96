"""Stage `split`: prompts to train, validation and test, so that nothing crosses."""

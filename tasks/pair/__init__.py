"""Stage `pair`: votes to chosen and rejected answers, each with its reason or its evidence."""

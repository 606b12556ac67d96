"""Stage `decontaminate`: benchmark items among what users say, found verbatim, nearly so, or reworded."""

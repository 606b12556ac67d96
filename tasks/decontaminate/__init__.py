"""Stage `decontaminate`: finds benchmark items in user turns: verbatim, near-verbatim or paraphrased."""

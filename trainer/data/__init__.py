"""What training reads: the tables of a release, their rows as tokens, and the order in which rows are drawn."""

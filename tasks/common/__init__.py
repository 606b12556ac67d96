"""What two stages or more use: the vocabulary of the tables, and the tools that know no stage."""

"""What two stages or more use: arrays, identity and similarity of texts, redaction, raw files. Imports no stage."""

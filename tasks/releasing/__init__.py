"""The parts of a release: flat columns for its gate, facts about it, files for trainers, card and report for people."""

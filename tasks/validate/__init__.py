"""Stage `validate`: turns and feedback held against their suites."""

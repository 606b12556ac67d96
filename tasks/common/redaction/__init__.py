"""Redaction of personal data and secrets: finders by kind, and the placeholders that take their place."""

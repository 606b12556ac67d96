"""Text work of `clean`: repair, redaction and language identification. Pure functions over Arrow arrays; know no table."""

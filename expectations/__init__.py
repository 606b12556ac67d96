"""Data quality rules: one Great Expectations suite per table, as code."""

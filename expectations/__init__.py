"""What must hold: one Great Expectations suite a table, as code."""

"""The house's plumbing: tables, parameters, engine, shell. Knows no single stage."""

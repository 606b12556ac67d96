"""What happens to the data: one module a stage."""

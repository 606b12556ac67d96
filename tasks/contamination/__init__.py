"""Benchmark items among what users say: reading benchmarks, and finding their items verbatim, nearly so, or reworded."""

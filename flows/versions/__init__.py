"""Versions of a dataset: what each took and gave, and how it is published."""

"""The words that stand in the tables, each named once with its meaning: kinds of feedback, roles, states, splits, and reasons.

A value that stands in a column is a constant of one of these modules, and its meaning is the entry of a dict beside it: stages, suites of
expectations, reports and the pages under `docs/reference` draw from here. The values are part of the data; they do not change.
"""

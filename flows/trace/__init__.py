"""From a row of the dataset back to the raw record, and on to the versions and models that have it."""

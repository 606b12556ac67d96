"""Stage `dedupe`: copies of conversations merged, their votes kept."""

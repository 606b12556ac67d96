"""Stage `ingest`: raw logs of any known format to turns and feedback."""

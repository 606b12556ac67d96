"""The release's report page and its sections."""

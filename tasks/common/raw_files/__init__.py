"""Raw files as they lie on disk: which there are, what is packed in them, and their records."""

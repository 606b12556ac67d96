"""Where bytes are kept: DVC's cache, the shared remote, and the private store of what is not redacted."""

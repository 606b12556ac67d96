"""Pure text work of `clean`: repair, redaction and language identification over Arrow arrays."""

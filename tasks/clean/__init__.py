"""Stage `clean`: repair of text, failed answers, redaction, languages."""

"""Forgetting a person: what is known of one, the tombstone that keeps one out, and the purge of what is left of one."""

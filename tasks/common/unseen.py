"""Characters that no reader sees: one list for everything that compares texts.

Each is the inside of a character class, for Python's `re` as for RE2.
"""

from __future__ import annotations

WITHOUT_WIDTH = "\u00ad\u200b\u2060\ufeff"  # soft hyphen, zero-width space, word joiner, byte order mark
DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of the direction of writing
UNSEEN = WITHOUT_WIDTH + DIRECTIONS
JOINERS = "\u200c\u200d"  # shape letters of Arabic and Indic scripts, and glue emoji: two texts may differ by them, but are alike

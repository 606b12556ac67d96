"""What comes of holding a new model against the champion, as far as no figure is needed for it.

- `first`: there is no champion.
- `same`: both are the same bytes.
- `erased`: people or conversations were erased since the champion was trained, so it may hold something of them.
- `incomparable`: the champion's bytes are not here, or no pair is known that neither model has seen.
- `measured`: all else; see `comparison`.

Splits grow under one salt: what was held out once is never trained on, and what was trained on once is never held out. So pairs that the
new release holds out are unseen by an older model too, unless that was trained on splits drawn under another salt.
"""

from __future__ import annotations

from tasks.common import champion as names
from trainer.promotion.facts import Champion, Facts

FIRST, SAME, ERASED, INCOMPARABLE, MEASURED = "first", names.SAME, "erased", "incomparable", "measured"


def before_figures(challenger: Facts, champion: Champion | None) -> tuple[str, str]:
    """The outcome, and why it is that; `measured` where figures are needed."""
    if champion is None:
        return FIRST, "no model before it"
    known = champion.facts
    if known["digest"] == challenger["digest"]:
        return SAME, f"it is {known['name']}, byte by byte"
    if known["release"] != challenger["release"] and known["erased"] != challenger["erased"]:
        return ERASED, f"{known['name']} was trained before the last erasure, so it must not be kept"
    if why := champion.lacking():
        return INCOMPARABLE, f"{known['name']} cannot be asked: {why}"
    if known["release"] != challenger["release"] and known["salt"] != challenger["salt"]:
        return INCOMPARABLE, f"{known['name']} was trained on splits drawn under another salt, so it may have seen what is held out now"
    return MEASURED, ""

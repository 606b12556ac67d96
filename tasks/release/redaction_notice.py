"""What is redacted and what is not: the notice at the top of the card and of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {
    "key": "keys", "password": "passwords", "email": "e-mail addresses", "phone": "telephone numbers", "card": "card numbers",
    "iban": "IBANs", "ssn": "US social security numbers", "id": "national numbers", "ip": "IP addresses", "mac": "MAC addresses",
    "wallet": "wallets", "url": "links",
}  # fmt: skip


def manifest_entry(clean: Mapping[str, Any]) -> dict[str, object]:
    """The manifest's entry on redaction, from the parameters of `clean`."""
    names = clean["names"]
    return {"kinds": sorted(clean["redact"]), "names": {"model": names["model"], "digest": names["digest"]} if names["model"] else None}


def notice(redacted: Mapping[str, Any]) -> str:
    """One paragraph: what is not redacted, then what is."""
    left = [words for kind, words in KINDS.items() if kind not in redacted["kinds"]]
    gone = [words for kind, words in KINDS.items() if kind in redacted["kinds"]]
    if redacted["names"]:
        stays = ["names of people, places and addresses that its model missed", "birthdays", *left]
        gone = ["names of people, places and postal addresses as far as a model found them", *gone]
    else:
        stays = ["names of people", "places", "postal addresses", "birthdays", *left]
    placeholders = f"Placeholders stand for {_listed(gone)}." if gone else "Nothing was replaced by placeholders."
    return f"Not redacted: {_listed([*stays, 'anything else without a fixed form'])}. {placeholders}"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]

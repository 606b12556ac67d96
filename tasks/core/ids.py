"""Stable identifiers: the same parts give the same id on every machine, in every order of work."""

from __future__ import annotations

import hashlib
import hmac
import os

SALT_VARIABLE = "PAIRWRIGHT_SALT"
# The sample's people are invented, so their salt may be public. Set the variable for real logs.
SAMPLE_SALT = "pairwright-sample"


def stable_id(*parts: str) -> str:
    """16 hex digits of BLAKE2b over the parts; ("a", "bc") and ("ab", "c") differ."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def person_id(native: str) -> str:
    """Salted hash of a person's id (HMAC-SHA256, 16 hex digits); the salt is in $PAIRWRIGHT_SALT."""
    return _keyed(native.encode("utf-8", "surrogatepass"))


def keyed_digest(*parts: str) -> str:
    """Salted hash of texts that may be personal: nobody without the salt can try what they were. 16 hex digits, as `person_id`."""
    return _keyed(stable_id("values", *parts).encode())


def _keyed(data: bytes) -> str:
    salt = os.environ.get(SALT_VARIABLE) or SAMPLE_SALT
    return hmac.new(salt.encode(), data, hashlib.sha256).hexdigest()[:16]

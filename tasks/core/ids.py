"""Stable identifiers: the same parts give the same id on every machine, in every order of work."""

from __future__ import annotations

import hashlib
import hmac
from typing import NewType

PersonId = NewType("PersonId", str)  # 16 hex digits, made by `person_id`: never what the log calls a person
ConversationId = NewType("ConversationId", str)  # as the table `turns` has it
TurnId = NewType("TurnId", str)  # as the table `turns` has it: unique in its conversation alone


def stable_id(*parts: str) -> str:
    """16 hex digits of BLAKE2b over the parts; ("a", "bc") and ("ab", "c") differ."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def person_id(native: str, salt: str) -> PersonId:
    """Salted hash of a person's id (HMAC-SHA256, 16 hex digits); `tasks.common.salt` says with which salt."""
    return PersonId(_salted(native, salt))


def keyed_digest(salt: str, *parts: str) -> str:
    """Salted hash of texts that may be personal: without the salt they cannot be guessed. 16 hex digits, as `person_id`."""
    return _salted(stable_id("values", *parts), salt)


def _salted(text: str, salt: str) -> str:
    return hmac.new(salt.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]

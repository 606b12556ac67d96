"""The released rows as plain messages, and the forms that stricter trainers ask for. What does not fit is left out and counted.

In: a release that matches its manifest. Out: `Rows`, the pairs, single answers and prompts of the splits train and validation. The
split test stays here: it is for judging what comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from tasks.common.vocabulary.splits import TRAIN, VALIDATION
from tasks.core.errors import UserError
from trainer.data import release_reader
from trainer.data.release_reader import Example, Messages, Pair, Prompt

SPLITS = (TRAIN, VALIDATION)
Line = dict[str, Any]
Row = TypeVar("Row")


class DoesNotFitError(Exception):
    """A row that a trainer would read wrongly; the text is the reason, in one word."""


@dataclass(frozen=True)
class Rows:
    """Rows by split, in the order of their ids."""

    pairs: dict[str, list[Pair]]
    examples: dict[str, list[Example]]
    prompts: dict[str, list[Prompt]]


@dataclass
class Export:
    """What one trainer gets: files by name, and what it does not get."""

    files: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)  # by file
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)  # by file and reason
    merged: dict[str, int] = field(default_factory=dict)  # by file, rows in which neighbours of one role became one message
    not_carried: dict[str, str] = field(default_factory=dict)  # what the trainer has no place for

    def lines(self, name: str, given: Iterable[Row], shape: Callable[[Row], Line], form: Callable[[list[Line]], bytes]) -> int:
        """Shape the rows into a file; those that do not fit are counted. The number of lines."""
        made, reasons = [], Counter[str]()
        for row in given:
            try:
                made.append(shape(row))
            except DoesNotFitError as reason:
                reasons[str(reason)] += 1
        self.files[name], self.rows[name] = form(made), len(made)
        if reasons:
            self.left_out[name] = dict(sorted(reasons.items()))
        return len(made)


def read(folder: Path, shuffle: bool, seed: int) -> Rows:
    """All rows; labels are turned for the shuffled control as the stages turn them."""
    pairs = {split: release_reader.pairs(folder, split) for split in SPLITS}
    examples = {split: release_reader.examples(folder, split) for split in SPLITS}
    if not pairs["train"]:
        raise UserError(str(folder), "no pairs to learn from", "some in the split train", "look in the ledgers for the reasons")
    if shuffle:
        pairs["train"] = release_reader.shuffled(pairs["train"], seed)
        examples["train"] = release_reader.shuffled_examples(examples["train"], seed)
    return Rows(pairs, examples, {split: release_reader.prompts(folder, split) for split in SPLITS})


def alternating(messages: Messages) -> Messages:
    """The conversation with neighbours of one role merged: at most one system message, then user and assistant in turns, a user last.

    Raises where that does not make such a conversation: there are tools in it, or the assistant begins.
    """
    merged: Messages = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = {"role": message["role"], "content": merged[-1]["content"] + "\n\n" + message["content"]}
        else:
            merged.append({"role": message["role"], "content": message["content"]})
    turns = merged[1:] if merged and merged[0]["role"] == "system" else merged
    if any(message["role"] not in ("user", "assistant") for message in turns):
        raise DoesNotFitError("other_roles")
    if not turns or turns[0]["role"] != "user" or turns[-1]["role"] != "user":
        raise DoesNotFitError("not_from_user_to_user")
    return merged


def one(messages: Messages) -> dict[str, str]:
    """The only message of an answer."""
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise DoesNotFitError("answer_of_several_messages")
    return {"role": "assistant", "content": messages[0]["content"]}


def plain(messages: Messages) -> list[dict[str, str]]:
    """The messages with nothing but role and content."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def transcript(messages: Messages) -> str:
    """A conversation as one text, for trainers that take strings and know no chat template."""
    return "".join(f"{message['role'].capitalize()}: {message['content']}\n\n" for message in messages)


def merges(given: Iterable[Messages]) -> int:
    """How many of the conversations have neighbours of one role."""
    return sum(any(a["role"] == b["role"] for a, b in pairwise(messages)) for messages in given)

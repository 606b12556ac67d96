"""Whether two conversations that are alike as texts are one chat: question by question, and answer by answer.

Text alone does not tell. Two chats of one product share its system prompt, its template or a pasted document, and are alike to 95 %
although one asked for a translation into French and the other into German. What tells them apart is what else was said:

- the setting (system turns, attachments) must be the same;
- what differs in the questions, and in the answers, may be single words, never most of a message; nor, in a long question, most of the
  sentences that differ (a short question about a pasted page is asked in one of them), nor a figure or a name that stands for another,
  nor a negation;
- enough of the answers must be the same, in texts that are not met all over the log: a bot's "Yes", or its greeting, proves nothing.
  Where there is less, only chats with equal questions are one;
- chats with equal questions are one only if the values are equal, too, where something was redacted: two links are two questions.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field
from rapidfuzz.distance import LCSseq

from tasks.common.similarity.ngrams import Hashes, Places, fold, mixed
from tasks.common.wording import puts_another
from tasks.core.params import StageParams

QUESTION, ANSWER = 0, 1  # sides of a chat: what people (and tools) said, what the model said
SHORT = 5  # words of a message in which any share may differ
LONG = 50  # words of a question from which on it is held together sentence by sentence
# Ends of lines and of sentences; a Chinese or Japanese sentence needs no blank behind it
SENTENCE = re.compile(r"\n+|(?<=[.?!:])\s+|(?<=[\u3002?!])(?=[^\x00-\x7f])")


class SameChat(StageParams):
    """When conversations that are alike as texts are one chat."""

    min_words: float = Field(gt=0, le=1)  # share of the words of all questions, and of all answers, that must be the same
    min_message_words: float = Field(ge=0, le=1)  # the same of any single message of five words and more
    min_answer_words: int = Field(ge=1)  # words of answers that must be the same, in texts that are not common
    common: int = Field(ge=1)  # a text that stands in more conversations is common
    # A question that differs in one letter is the same question where it is as long as this, and so are the equal answers to it.
    misspelt_question_chars: int = Field(ge=1)
    misspelt_answer_chars: int = Field(ge=1)


class Message(NamedTuple):
    """One message."""

    place: int  # among all messages
    side: int
    text: int  # a hash, equal where texts are
    words: int
    common: bool


@dataclass(frozen=True)
class Chats:
    """One element a conversation."""

    texts: pa.LargeListArray[Any]  # lists of `folded` messages, without system turns
    hashes: Hashes  # of each message of all lists: equal where the texts are
    words: Places  # of each message: how many
    sides: npt.NDArray[np.int8]  # of each message: QUESTION or ANSWER
    common: npt.NDArray[np.bool_]  # of each message: whether it is an answer and its text is common
    settings: Hashes  # equal where system turns and attachments are
    redacted: Hashes  # equal where the values are that were redacted from questions

    @property
    def hidden(self) -> Hashes:
        """Equal where all is that the texts do not show."""
        return mixed(self.settings) ^ self.redacted

    def one_chat(self, left: Places, right: Places, limits: SameChat) -> npt.NDArray[np.bool_]:
        """Whether the conversations left[i] and right[i], which are alike as texts, are one chat."""
        same: npt.NDArray[np.bool_] = self.settings[left] == self.settings[right]
        alike = self.redacted[left] == self.redacted[right]
        for at in np.flatnonzero(same).tolist():
            one, other = self._said(int(left[at])), self._said(int(right[at]))
            questions, answers = (
                self._compared(*([message for message in chat if message.side == side] for chat in (one, other))) for side in (0, 1)
            )
            same[at] = one_chat(questions, answers, bool(alike[at]), limits)
        return same

    def telling(self, row: int) -> int:
        """How many words of a conversation's answers stand in texts that are not common."""
        return sum(message.words for message in self._said(row) if message.side == ANSWER and not message.common)

    @functools.cached_property
    def _bounds(self) -> Places:
        """Where each conversation's messages begin."""
        return np.asarray(self.texts.offsets.to_numpy())

    def _said(self, row: int) -> list[Message]:
        """What was said in a conversation."""
        start, stop = self._bounds[row : row + 2].tolist()
        columns = (column[start:stop].tolist() for column in (self.sides, self.hashes, self.words, self.common))
        return list(map(Message, range(start, stop), *columns))

    def _compared(self, one: list[Message], other: list[Message]) -> _Comparison:
        """One side of two chats, held against each other."""
        if [message.text for message in one] == [message.text for message in other]:  # so it is with most sides
            words = sum(message.words for message in one)
            return _Comparison(True, words, words, sum(message.words for message in one if not message.common), ())
        same = Counter(message.text for message in one) & Counter(message.text for message in other)
        (equal, here), (_, there) = (_split(side, same) for side in (one, other))
        couples = [
            (a, max(a.words, b.words), LCSseq.similarity(self._words_of(a), self._words_of(b))) for a, b in zip(here, there, strict=False)
        ]
        asked = [(a, b) for a, b in zip(here, there, strict=False) if a.side == QUESTION and min(a.words, b.words) >= LONG]
        return _Comparison(
            equal=not here and not there,
            total=max(sum(message.words for message in side) for side in (one, other)),
            shared=sum(message.words for message in equal) + sum(words for _, _, words in couples),
            telling=sum(message.words for message in equal if not message.common)
            + sum(words for message, _, words in couples if not message.common),
            couples=tuple((longer, words) for _, longer, words in couples),
            another=any(asks_another_thing(self._text_of(a), self._text_of(b)) for a, b in asked),
        )

    def _words_of(self, message: Message) -> list[str]:
        """The words of a message."""
        return fold(self._text_of(message)).split()

    def _text_of(self, message: Message) -> str:
        """The text of a message."""
        return str(self.texts.values[message.place].as_py())


def one_chat(questions: _Comparison, answers: _Comparison, same_values: bool, limits: SameChat) -> bool:
    """Whether two conversations of one setting are one chat; `same_values`: the same was redacted from their questions."""
    if not (questions.alike(limits) and answers.alike(limits)):
        return False
    if questions.equal:  # what tells them apart is what the texts do not show, or nothing
        return same_values
    return answers.telling >= limits.min_answer_words


@dataclass(frozen=True)
class _Comparison:
    """One side of two chats, held against each other; equal messages are matched first, what is left in order."""

    equal: bool  # every message of each has an equal one in the other
    total: int  # words of the longer one
    shared: int  # words that are the same
    telling: int  # of these, in texts that are not common
    couples: tuple[tuple[int, int], ...]  # of messages that differ: words of the longer one, and words that are the same
    another: bool = False  # whether a long question asks another thing

    def alike(self, limits: SameChat) -> bool:
        """Whether single words differ, and no message as a whole."""
        whole = all(longer < SHORT or words >= limits.min_message_words * longer for longer, words in self.couples)
        return whole and not self.another and self.shared >= limits.min_words * self.total


def asks_another_thing(one: str, other: str) -> bool:
    """Whether two long questions differ in most words of the sentences that differ, or put another figure, negation or name.

    A single word more (thanks) is nothing.
    """
    left, right = (Counter(fold(sentence) for sentence in SENTENCE.split(text) if sentence.strip()) for text in (one, other))
    here, there = (" ".join((mine - theirs).elements()).split() for mine, theirs in ((left, right), (right, left)))
    longer, shorter = max(len(here), len(there)), min(len(here), len(there))
    return (longer > (shorter == 0) and 2 * LCSseq.similarity(here, there) <= longer) or puts_another(one, other)


def _split(side: list[Message], same: Counter[int]) -> tuple[list[Message], list[Message]]:
    """The messages that have an equal one in the other chat, and the rest."""
    left, equal, rest = same.copy(), list[Message](), list[Message]()
    for message in side:
        (equal if left[message.text] > 0 else rest).append(message)
        left[message.text] -= 1
    return equal, rest

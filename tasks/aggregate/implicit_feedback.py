"""A user's own next turn as feedback about the answer before it: thanks, a complaint, or the same question again.

In: the trees of one batch of conversations, and which turns are answers. Out: acts (SIGNAL), made from turns alone, which already
say what they are about. They are kinds of their own, weaker than any act that a person gave on purpose, and are never counted as
thumbs. Precision comes before recall: thanks and complaints are short messages that begin with, or are, a phrase of `phrases/`; a
retry is a message with the words of the one before it, in their order.

The answer to the last repeat of a question is better than each answer that made the user repeat it, as answers to the question
as it was first asked. A retry is no vote where no single answer follows the last repeat, or that answer speaks of the one before, or the
two answers are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit
from pydantic import Field

from tasks.aggregate.conversation_tree import USER, ConversationTrees
from tasks.common.arrays import Column, Mask, Rows, absent, first_reason, mask, struct
from tasks.common.phrases import UNSPACED, Phrases, anywhere, beginning, every, holds, matched, one_of, plain
from tasks.common.vocabulary.kinds import COMPLAINT, PERSON, RETRY, THANKS
from tasks.common.vocabulary.reasons.aggregate import NO_BETTER_ANSWER, REFERS_BACK, SAME_ANSWER
from tasks.core import wordlists
from tasks.core.ids import stable_id
from tasks.core.params import Moved, StageParams
from tasks.core.tables import ORIGIN, TEXT, TIME
from tasks.core.wordlists import ByLanguage

SHIPPED = Path(__file__).with_name("phrases")
GRADES = {THANKS: 1.0, COMPLAINT: -1.0}

SIGNAL = pa.struct(
    [
        *((name, TEXT) for name in ("feedback_id", "turn_id", "kind", "label", "better", "worse", "annotator", "source")),
        ("value", pa.float64()),
        ("created_at", TIME),
        ("origin", ORIGIN),
        *((name, TEXT) for name in ("fault", "prompt_id", "response_id", "better_id", "worse_id")),
        ("grade", pa.float64()),
    ]
)


class Opinion(StageParams):
    """What users say of an answer: the lists that are shipped, and more."""

    more: Phrases


class Thanks(Opinion):
    """How users thank."""

    moved: ClassVar[Moved] = wordlists.moved(Phrases, "more", SHIPPED / "thanks.yaml")


class Complaint(Opinion):
    """How users complain."""

    moved: ClassVar[Moved] = wordlists.moved(Phrases, "more", SHIPPED / "complaint.yaml")


class Repeats(StageParams):
    """How users ask the same again, by language."""

    fillers: ByLanguage  # words that may come or go
    unless: ByLanguage  # a question that holds one of these asks for more, not for better
    refers_back: ByLanguage  # how an answer begins that speaks of the one before


class Retry(StageParams):
    """When a user asks the same again."""

    moved: ClassVar[Moved] = wordlists.moved(Repeats, "more", SHIPPED / "retry.yaml")

    min_words: int = Field(ge=1)  # of the question; a Chinese or Japanese letter counts as a word
    max_filler_chars: int = Field(ge=0)  # bytes by which the two may differ in length
    more: Repeats


class Settings(StageParams):
    """Which signals are read from users' next turns."""

    use: list[Literal["thanks", "complaint", "retry"]]
    max_chars: int = Field(ge=1)  # of a message that thanks or complains
    thanks: Thanks
    complaint: Complaint
    retry: Retry

    def phrases(self, kind: str) -> Phrases:
        """The phrases of thanks, or of complaints: those that are shipped, and more."""
        more = {THANKS: self.thanks, COMPLAINT: self.complaint}[kind].more
        return wordlists.with_shipped(SHIPPED / f"{kind}.yaml", more)

    def repeats(self) -> Repeats:
        """The words of repeats: those that are shipped, and more."""
        return wordlists.with_shipped(SHIPPED / "retry.yaml", self.retry.more)


@dataclass(frozen=True)
class ImplicitFeedback:
    """Signals as rows of the forest; -1 where there is none."""

    said: Rows  # the user's turn
    kind: Column
    label: Column
    about: Rows  # the answer before it
    better: Rows  # retry: the answer that counts as better
    prompt: Rows  # the last turn of the prompt under which the answers stand

    def answers(self) -> tuple[Rows, Rows]:
        """(prompt, answer) of every answer that a signal judges or compares, once each."""
        prompt, answer = np.concatenate([self.prompt, self.prompt]), np.concatenate([self.about, self.better])
        held = np.concatenate([self.kind != RETRY, np.zeros(len(self.kind), bool)]) | np.tile(self.better >= 0, 2)
        pairs = np.unique(np.stack([prompt[held], answer[held]]), axis=1)
        return pairs[0], pairs[1]


def find(forest: ConversationTrees, answer: Mask, settings: Settings) -> ImplicitFeedback:
    """The signals of the batch; a turn gives one at most."""
    turn = np.flatnonzero((forest.role == USER) & (forest.parent >= 0) & answer[np.maximum(forest.parent, 0)])
    about = forest.parent[turn]
    contents = forest.turns["content"].fill_null(pa.scalar(""))
    short = pc.less_equal(pc.utf8_length(contents), pa.scalar(settings.max_chars)).to_numpy()[turn]
    near = (forest.role[forest.parent[about]] == USER) & (RETRY in settings.use)
    size = pc.binary_length(contents).to_numpy()
    near &= np.abs(size[turn] - size[forest.parent[about]]) <= settings.retry.max_filler_chars
    rows = np.unique(np.concatenate([turn[short | near], forest.parent[about[near]]]))  # each text is made plain once
    words = plain(texts(forest, rows))

    kind, label = np.full(len(turn), None, object), np.full(len(turn), None, object)
    here = words.take(np.searchsorted(rows, turn[short]))
    kind[short], label[short] = opinions(here, texts(forest, about[short]), settings)
    near &= absent(kind)
    now, then = (words.take(np.searchsorted(rows, part[near])) for part in (turn, forest.parent[about]))
    label[near] = repeats(now, then, settings)
    kind[near & ~absent(label)] = RETRY
    better, prompt = chains(forest, answer, turn, kind)
    better[better >= 0] = np.where(back(forest, better[better >= 0], settings), -2, better[better >= 0])
    named = ~absent(kind)
    return ImplicitFeedback(*(column[named] for column in (turn, kind, label, about, better, prompt)))


def texts(forest: ConversationTrees, rows: Rows) -> pa.Array[Any]:
    """The rows' contents."""
    return forest.turns["content"].take(rows).combine_chunks()


def opinions(words: pa.Array[Any], answers: pa.Array[Any], settings: Settings) -> tuple[Column, Column]:
    """Kind and phrase of each plain text that thanks for its answer or complains of it, else None."""
    kind, label = np.full(len(words), None, object), np.full(len(words), None, object)
    thanks, complaint = settings.phrases(THANKS), settings.phrases(COMPLAINT)
    for name, own, other in ((THANKS, thanks, complaint), (COMPLAINT, complaint, thanks)):
        if name in settings.use:
            hits, phrases = matched(words, answers, own)
            clear = ~holds(words.filter(pa.array(hits)), anywhere(beginning(other.phrases)))
            rows = np.flatnonzero(hits)[clear]
            kind[rows], label[rows] = name, np.array([*phrases.to_pylist(), None], object)[:-1][clear]
    return kind, label


def repeats(now: pa.Array[Any], then: pa.Array[Any], settings: Settings) -> Column:
    """How each plain text repeats the one of before: "equal", or "near" (but for fillers); None where it does not."""
    lists = settings.repeats()
    equal = np.asarray(pc.equal(now, then).to_numpy(zero_copy_only=False))
    look = np.flatnonzero(equal | holds(now, anywhere(lists.fillers)) | holds(then, anywhere(lists.fillers)))
    bare, other = (without(words.take(look), lists.fillers) for words in (now, then))
    count = pc.count_substring_regex(bare, rf"[{UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}]+").to_numpy()  # type: ignore[call-overload]  # the stubs ask for the text's own class
    again = np.asarray(pc.equal(bare, other).to_numpy(zero_copy_only=False)) & (count >= settings.retry.min_words)
    again &= ~holds(bare, anywhere(lists.unless))
    found = np.full(len(now), None, object)
    found[look[again]] = np.where(equal[look[again]], "equal", "near")
    return found


def without(texts: pa.Array[Any], fillers: ByLanguage) -> pa.Array[Any]:
    """Plain texts without the fillers."""
    # with two spaces between words, and fillers that take one on each side, fillers in a row go too
    space, nothing = pa.scalar(" ", TEXT), pa.scalar("", TEXT)
    texts = pc.binary_join_element_wise(space, pc.replace_substring(texts, " ", "  "), space, nothing)  # type: ignore[call-overload]  # the stubs take no scalar beside arrays
    texts = pc.replace_substring_regex(texts, one_of([" " + phrase.replace(" ", "  ") for phrase in every(fillers)], " "), "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, " {2,}", " "))


def chains(forest: ConversationTrees, answer: Mask, turn: Rows, kind: Column) -> tuple[Rows, Rows]:
    """For each turn the answer that ended the repeats well (-1: none), and the prompt where they began."""
    turns, parent = len(forest.role), forest.parent
    answers, retry = np.flatnonzero(answer), turn[kind == RETRY]
    only, again = np.full(turns, -1), np.full(turns, -1)
    only[parent[answers]] = answers
    only[np.bincount(parent[answers], minlength=turns) > 1] = -1
    again[parent[retry][::-1]] = retry[::-1]  # the first repeat after each answer
    unhappy, repeated = np.zeros(turns, bool), np.zeros(turns, bool)
    unhappy[parent[turn[kind == COMPLAINT]]] = True
    repeated[retry] = True

    better = np.where(kind == RETRY, only[turn], -1)
    while (more := (better >= 0) & ~unhappy[better] & (again[better] >= 0)).any():
        better[more] = only[again[better[more]]]
    better[(better >= 0) & unhappy[better]] = -1
    prompt = parent[parent[turn]]
    while (up := (kind == RETRY) & repeated[prompt]).any():
        prompt[up] = parent[parent[prompt[up]]]
    return better, prompt


def back(forest: ConversationTrees, rows: Rows, settings: Settings) -> Mask:
    """Which answers begin by speaking of the one before."""
    return holds(plain(texts(forest, rows)), f"^(?:{one_of(every(settings.repeats().refers_back))})")


def acts(
    forest: ConversationTrees, signals: ImplicitFeedback, prompt_ids: dict[int, str], response_ids: dict[tuple[int, int], str]
) -> pa.StructArray:
    """The signals as SIGNAL; `response_ids` has the id of each (prompt, answer)."""
    retry, compared = signals.kind == RETRY, signals.better >= 0
    turn_ids = forest.turns["turn_id"]
    spoken = forest.turns.take(signals.said)
    names = cast("list[str]", forest.names.take(forest.tree[signals.said]).to_pylist())
    turns = cast("list[str]", spoken["turn_id"].to_pylist())
    ids = [stable_id("signal", *parts) for parts in zip(signals.kind.tolist(), names, turns, strict=True)]
    judged, better = (
        [response_ids.get(pair) for pair in zip(signals.prompt.tolist(), rows.tolist(), strict=True)]
        for rows in (signals.about, signals.better)
    )
    same = np.array([first is not None and first == second for first, second in zip(judged, better, strict=True)], bool)
    asked = {NO_BETTER_ANSWER: signals.better == -1, REFERS_BACK: signals.better == -2, SAME_ANSWER: same}
    fault = first_reason(*((reason, retry & holds) for reason, holds in asked.items()))
    clear = mask(pc.is_null(fault))
    grade = np.array([GRADES.get(name, 1.0) for name in signals.kind.tolist()])

    def where(held: Mask, values: list[str | None]) -> pa.Array[Any]:
        return pa.array([value if holds else None for holds, value in zip(held.tolist(), values, strict=True)], TEXT)

    def turn(held: Mask, rows: Rows) -> pa.ChunkedArray[Any]:
        return turn_ids.take(pa.array(rows, pa.int64(), mask=~held))

    columns = {
        "feedback_id": pa.array(ids, TEXT),
        "turn_id": turn(~retry, signals.about),
        "kind": pa.array(signals.kind.tolist(), TEXT),
        "label": pa.array(signals.label.tolist(), TEXT),
        "better": turn(retry & compared, signals.better),
        "worse": turn(retry, signals.about),
        "annotator": spoken["user_id"],
        "source": spoken["source"],
        "value": pa.array(grade, mask=retry),
        "created_at": spoken["created_at"],
        "origin": spoken["origin"],
        "fault": fault,
        "prompt_id": where(clear, [prompt_ids.get(row) for row in signals.prompt.tolist()]),
        "response_id": where(clear & ~retry, judged),
        "better_id": where(clear & retry, better),
        "worse_id": where(clear & retry, judged),
        "grade": pa.array(grade),
    }
    return struct(SIGNAL, *(columns[field.name] for field in SIGNAL))


def as_acts(signals: daft.DataFrame, given: daft.DataFrame) -> daft.DataFrame:
    """Signals, and their conversation, with the columns of the acts that were given."""
    turn = signals.with_columns({"annotator_kind": lit(PERSON), "made": lit(True)})
    kinds = {field.name: field.dtype for field in given.schema()}
    columns = [col(name) if name in turn.column_names else lit(None).cast(kinds[name]).alias(name) for name in given.column_names]
    return turn.select(*columns)

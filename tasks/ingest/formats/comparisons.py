"""Two answers to one prompt: the structure shared by battles, choices and preference records.

In: the prompt and two continuations, message by message. Out: a tree whose two branches start at the prompt, and the choice.
"""

from __future__ import annotations

from tasks.common.vocabulary.kinds import CHOICE
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.ingest.formats.parsed import Act, Conversation, ParsedRecord, Utterance, chain, content_id

Line = list[Utterance]
VALUES = {"a": 1.0, "b": 1.0, "tie": 0.0, "bothbad": -1.0}


def two_answers(
    left: Line,
    right: Line,
    winner: str | None,
    models: tuple[str | None, str | None],
    native_id: str | None = None,
    label: str | None = None,
    tools: str | None = None,
) -> ParsedRecord:
    """Two transcripts and who won (`a`, `b`, `tie`, `bothbad`; None: the log's word for it is not known) as a tree and an act.

    The act needs one prompt and two answers to it: transcripts that part earlier were judged with different
    histories, so they keep their turns, and a note `histories_differ` instead of the act.
    """
    shared = _shared(left, right)
    trunk = chain(left[:shared])
    sides = zip((left, right), models, ("a", "b"), strict=True)
    branches = [chain(line[shared:], model, shared, prefix) for line, model, prefix in sides]
    name = native_id or content_id(left, right, tools=tools)
    parsed = ParsedRecord([Conversation(name, trunk + branches[0] + branches[1], tools=tools)])
    if len(left) != len(right) or shared != len(left) - 1 or {left[-1].role, right[-1].role} != {ASSISTANT}:
        parsed.notes.append((why.HISTORIES_DIFFER, "the two answers do not follow the same messages"))
        return parsed
    first, second = branches[0][-1].turn_id, branches[1][-1].turn_id
    better, worse = (second, first) if winner == "b" else (first, second)
    parsed.acts.append(Act(name, CHOICE, value=VALUES[winner] if winner else None, label=label, better=better, worse=worse))
    return parsed


def _shared(left: Line, right: Line) -> int:
    """The common first messages; the last answer of each side is never one of them, so that equal answers stay two."""
    shortest = min(len(left), len(right)) - 1
    return next((at for at in range(shortest) if left[at] != right[at]), max(shortest, 0))

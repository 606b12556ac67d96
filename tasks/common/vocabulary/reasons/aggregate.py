"""Why `aggregate` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

NO_EVIDENCE: Final = "no_evidence"
NOT_AN_ANSWER_PATH: Final = "not_an_answer_path"
NEEDS_MEDIA: Final = "needs_media"
UNKNOWN_KIND: Final = "unknown_kind"
NOT_USED: Final = "not_used"
NO_VALUE: Final = "no_value"
NO_SCALE: Final = "no_scale"
UNKNOWN_LABEL: Final = "unknown_label"
OFF_SCALE: Final = "off_scale"
NO_TARGET: Final = "no_target"
NO_SUCH_TURN: Final = "no_such_turn"
DELETED_BRANCH: Final = "deleted_branch"
NOT_AN_ANSWER: Final = "not_an_answer"
NO_TEXT: Final = "no_text"
NO_PROMPT: Final = "no_prompt"
DIFFERENT_PROMPTS: Final = "different_prompts"
NO_CHANGE: Final = "no_change"
SAME_ANSWER: Final = "same_answer"
SUPERSEDED: Final = "superseded"
NO_BETTER_ANSWER: Final = "no_better_answer"
REFERS_BACK: Final = "refers_back"

REASONS: Reasons = declare(
    "aggregate",
    {
        "turns": {
            NO_EVIDENCE: "nobody judged an answer at or after it, and `aggregate.unjudged` keeps no such prompt",
            NEEDS_MEDIA: "only answers about a picture or a file come after it, and those are not in the release (`aggregate.media`)",
            NOT_AN_ANSWER_PATH: "no answer with a usable prompt stands at or after it",
        },
        "feedback": {
            UNKNOWN_KIND: "its kind does not exist",
            NOT_USED: "its kind says nothing of preference: a copied or shared answer, a report, a comment",
            NO_VALUE: "its kind needs a value, and it has none",
            NO_SCALE: "a rating whose scale is not known: no ends, or equal ends",
            UNKNOWN_LABEL: "its value came in words that the kind, or its scale, does not know",
            OFF_SCALE: "its value is none that the kind, or the scale that it came on, knows",
            NO_TARGET: "it names no message, or one where two are needed",
            NO_SUCH_TURN: "its conversation does not have the message that it names",
            DELETED_BRANCH: "the message that it names is there, but not all messages from the root to it are",
            NOT_AN_ANSWER: "the message that it names is not an assistant's",
            NO_TEXT: "the answer, or the edit, has no text",
            NEEDS_MEDIA: "the answer, or what was asked, is about a picture or a file, and the release holds none (`aggregate.media`)",
            NO_PROMPT: "the answer has no usable prompt",
            DIFFERENT_PROMPTS: "the two answers compared do not answer the same prompt",
            NO_CHANGE: "an edit that changes case and spacing at most",
            SAME_ANSWER: "the two answers compared are one, or one person ranked one answer twice at once",
            SUPERSEDED: "the same person later did the same kind of act about the same answer, or said the opposite by thumb or rating",
            NO_BETTER_ANSWER: "of a question asked again: not exactly one answer follows the last repeat, or a complaint follows that",
            REFERS_BACK: "of a question asked again: the answer to the last repeat speaks of the one before, so it does not stand alone",
        },
    },
)

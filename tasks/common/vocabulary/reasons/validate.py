"""Why `validate` drops a row: the row rules of its suites, by name, and what follows from them."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

NO_ID: Final = "no_id"
UNKNOWN_ROLE: Final = "unknown_role"
EMPTY: Final = "empty"
QUESTION_TOO_LONG: Final = "question_too_long"
ANSWER_TOO_SHORT: Final = "answer_too_short"
ANSWER_TOO_LONG: Final = "answer_too_long"
NEGATIVE_POSITION: Final = "negative_position"
NO_PARENT: Final = "no_parent"
MISPLACED: Final = "misplaced"
OUT_OF_TIME: Final = "out_of_time"
ORPHANED: Final = "orphaned"
UNKNOWN_KIND: Final = "unknown_kind"
UNKNOWN_ANNOTATOR: Final = "unknown_annotator"
NO_VALUE: Final = "no_value"
NO_SCALE: Final = "no_scale"
UNKNOWN_LABEL: Final = "unknown_label"
OFF_SCALE: Final = "off_scale"
NO_SIDES: Final = "no_sides"
EQUAL_SIDES: Final = "equal_sides"
NO_TARGET: Final = "no_target"
NO_SUCH_TURN: Final = "no_such_turn"
DELETED_BRANCH: Final = "deleted_branch"
TURN_DROPPED: Final = "turn_dropped"
NOT_AN_ANSWER: Final = "not_an_answer"
NO_TEXT: Final = "no_text"

REASONS: Reasons = declare(
    "validate",
    {
        "turns": {
            NO_ID: "it lacks the id of its conversation or its own",
            UNKNOWN_ROLE: "its role is none of the four",
            EMPTY: "it has no text, and calls no tool",
            QUESTION_TOO_LONG: "a user's message has more characters than `validate.turns.max_question_chars`",
            ANSWER_TOO_SHORT: "an answer has fewer characters than `validate.turns.min_answer_chars`",
            ANSWER_TOO_LONG: "an answer has more characters than `validate.turns.max_answer_chars`",
            NEGATIVE_POSITION: "its depth in the tree is below 0",
            NO_PARENT: "the message before it is not there",
            MISPLACED: "its depth in the tree is not greater than its parent's",
            OUT_OF_TIME: "its time lies outside `validate.turns.earliest_year` to `latest_year`: a misread unit",
            ORPHANED: "it stands below a dropped message",
        },
        "feedback": {
            NO_ID: "it lacks its id or that of its conversation",
            UNKNOWN_KIND: "its kind does not exist",
            UNKNOWN_ANNOTATOR: "who gave it is neither a person nor a model",
            NO_VALUE: "its kind needs a value, and it has none",
            NO_SCALE: "a rating whose scale is not known: no ends, or equal ends",
            UNKNOWN_LABEL: "its value came in words that the kind, or its scale, does not know",
            OFF_SCALE: "its value lies off the scale that it came on",
            NO_SIDES: "a choice that does not name two answers",
            EQUAL_SIDES: "both answers that it names are one",
            NO_TARGET: "it names no message",
            NO_SUCH_TURN: "its conversation does not have the message that it names",
            DELETED_BRANCH: "the message that it names is cut off from the beginning of its conversation",
            TURN_DROPPED: "the message that it names was dropped",
            NOT_AN_ANSWER: "the message that it names is not an assistant's",
            NO_TEXT: "an edit or correction without a text",
            OUT_OF_TIME: "its time lies outside `validate.feedback.earliest_year` to `latest_year`: a misread unit",
        },
    },
)

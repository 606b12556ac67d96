"""Kinds of feedback: what a person, or a judging model, did about an answer. They stand in `kind` of feedback and votes."""

from __future__ import annotations

from typing import Final

CORRECTION: Final = "correction"
EDIT: Final = "edit"
CHOICE: Final = "choice"
RANKING: Final = "ranking"
RATING: Final = "rating"
THUMB: Final = "thumb"
REGENERATE: Final = "regenerate"
REPORT: Final = "report"
COPY: Final = "copy"
SHARE: Final = "share"
COMMENT: Final = "comment"
RETRY: Final = "retry"
THANKS: Final = "thanks"
COMPLAINT: Final = "complaint"

# What a kind names: one answer; two of them; or one, and gives the other.
JUDGE: Final = "judge"
COMPARE: Final = "compare"
REWRITE: Final = "rewrite"

# Kinds that become votes, the strongest evidence first, and what each names.
VOTED: dict[str, str] = {
    CORRECTION: REWRITE,
    EDIT: REWRITE,
    CHOICE: COMPARE,
    RANKING: JUDGE,
    RATING: JUDGE,
    THUMB: JUDGE,
    REGENERATE: COMPARE,
}
VALUED = (CHOICE, RANKING, RATING, THUMB)  # need a value; what the value of another kind says is not known
REWRITES = (CORRECTION, EDIT)  # hold the text as it was rewritten
SILENT = (COMMENT, COPY, REPORT, SHARE)  # kept, but no votes: a report is about harm or law as often as about quality
SIGNALS = (RETRY, THANKS, COMPLAINT)  # made from users' own next turns, the strongest first
GIVEN = (THUMB, RATING, CHOICE, RANKING, EDIT, CORRECTION, REGENERATE, REPORT, COPY, SHARE, COMMENT)  # all that a log may hold

MEANINGS: dict[str, str] = {
    CORRECTION: "an annotator gave a better text for the answer",
    EDIT: "the user rewrote the answer",
    CHOICE: "one of two answers was chosen, or they were called equal",
    RANKING: "an answer was given a rank among others to the same prompt; 0 is best",
    RATING: "an answer was rated on a scale",
    THUMB: "an answer got a thumb up or down",
    REGENERATE: "the answer was generated again; the answer that was kept is better than the one discarded",
    REPORT: "an answer was reported, for harm or law as often as for quality; kept, but no vote",
    COPY: "an answer was copied; kept, but no vote",
    SHARE: "an answer was shared; kept, but no vote",
    COMMENT: "an answer was commented on without a thumb or rating; kept, but no vote",
    RETRY: "the user asked the same question again; the answer to the last repeat is better. Made from the user's next turn",
    THANKS: "the user's next turn thanks for the answer. Made from that turn",
    COMPLAINT: "the user's next turn complains of the answer. Made from that turn",
}

# Who gave it: `annotator_kind` of feedback and votes.
PERSON: Final = "person"
MODEL: Final = "model"
ANNOTATORS: dict[str, str] = {PERSON: "a person", MODEL: "a model that judges answers"}

# `evidence` of candidates on which no person voted on purpose.
BY_MODELS: Final = "judge"
SIGNAL: Final = "signal"
NO_EVIDENCE: Final = "none"
WEAK_EVIDENCE: dict[str, str] = {
    NO_EVIDENCE: "nobody voted",
    BY_MODELS: "only judging models voted",
    SIGNAL: "only the next turn of users says something, by thanks or a complaint",
}

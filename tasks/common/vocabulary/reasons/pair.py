"""Why `pair` drops a row: a proposed pair, an answer judged by itself, a vote, or a variant."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary import window
from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

# of proposed pairs
UNRELIABLE: Final = "unreliable"
TIE: Final = "tie"
BELOW_MARGIN: Final = "below_margin"
TOO_SMALL_EDIT: Final = "too_small_edit"
REWRITTEN: Final = "rewritten"
NEARLY_EQUAL: Final = "nearly_equal"
IDENTITY_TOLD: Final = "identity_told"
EQUAL_TEXT: Final = "equal_text"
LOW_CONFIDENCE: Final = "low_confidence"
CONTRADICTED: Final = "contradicted"
REPEATED: Final = "repeated"
CYCLE: Final = "cycle"
OVER_USER_CAP: Final = "over_user_cap"
OVER_CAP: Final = "over_cap"
DISLIKED: Final = "disliked"
SUPERSEDED: Final = "superseded"
# of pairs that a trainer could not use (`pair.trainability`), or that were given up to match lengths
ROLES_NOT_ALTERNATING: Final = "roles_not_alternating"
TEMPLATE_REFUSES: Final = "template_refuses"
TEMPLATE_NOT_PREFIX_STABLE: Final = "template_not_prefix_stable"
UNMATCHED: Final = "unmatched"
# of answers judged by themselves
MIDDLE: Final = "middle"
# of votes behind which no pair and no unpaired row stands
JUDGE: Final = "judge"
NO_RECIPE: Final = "no_recipe"
RECIPE_OFF: Final = "recipe_off"
ALONE: Final = "alone"
OUTRANKED: Final = "outranked"
# of variants
NO_PAIR: Final = "no_pair"

# Votes contradict each other, or are too few.
DISAGREEING: dict[str, str] = {
    TIE: "the votes for both answers weigh the same",
    CONTRADICTED: "stronger evidence says the opposite",
    SUPERSEDED: "the same person said the opposite later",
    DISLIKED: "who kept the answer called it worse than the other",
    CYCLE: "A over B, B over C, C over A",
    LOW_CONFIDENCE: "too few votes, too divided ones, or all else speaks against them",
    UNRELIABLE: "nobody behind it is better than chance",
}
PROPOSED: dict[str, str] = {
    **DISAGREEING,
    BELOW_MARGIN: "the mean ratings of the two answers lie closer than `pair.rating_margin.min_margin`",
    TOO_SMALL_EDIT: "the edit changes less of the text than the recipe's `min_distance`",
    REWRITTEN: "the edit changes more of the text than the recipe's `max_distance`: another text altogether",
    NEARLY_EQUAL: "the two answers share so many letters as `pair.nearly_equal` says, and more",
    IDENTITY_TOLD: "an answer says which model it is, so who chose did not judge blind (`pair.identity`)",
    EQUAL_TEXT: "the reworded answers of a variant are the same",
    REPEATED: "a stronger proposal is the same pair",
    OVER_USER_CAP: "it rests on one person's votes alone, as `pair.max_pairs_per_user` surer pairs do",
    OVER_CAP: "the prompt has `pair.max_pairs_per_prompt` surer pairs",
}
UNTRAINABLE: dict[str, str] = {
    ROLES_NOT_ALTERNATING: "user and assistant do not speak in turns",
    TEMPLATE_REFUSES: "the chat template does not take such messages",
    TEMPLATE_NOT_PREFIX_STABLE: "the template or the tokenizer writes the prompt otherwise once an answer follows",
    **window.MEANINGS,
}
_OF_PAIRS = {**PROPOSED, **UNTRAINABLE, UNMATCHED: "given up so that the longer answer is chosen as often as not (`pair.matching`)"}
_OF_ANSWERS = {
    MIDDLE: "its thumbs and ratings lie clearly on neither side",
    CONTRADICTED: "its thumbs say one thing and its ratings the other",
}

REASONS: Reasons = declare(
    "pair",
    {
        "pairs": _OF_PAIRS,
        "unpaired": _OF_ANSWERS,
        "votes": {
            **_OF_PAIRS,
            MIDDLE: _OF_ANSWERS[MIDDLE],
            CONTRADICTED: f"{DISAGREEING[CONTRADICTED]}; of a single answer, {_OF_ANSWERS[CONTRADICTED].removeprefix('its ')}",
            JUDGE: "it is a model's, and votes of judging models are not in use (`pair.judges.use`)",
            OUTRANKED: "thanks, or a complaint, about an answer that has thumbs or ratings",
            NO_RECIPE: "it is of a kind that no recipe reads",
            RECIPE_OFF: "it is of a kind whose recipe is not in use",
            ALONE: "no two answers came of it: nothing to compare with, fewer votes than asked, or beyond the answers compared",
        },
        "candidates": {NO_PAIR: "a variant that gives no pair and no unpaired row"},
    },
)

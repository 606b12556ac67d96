"""What the columns of the released configs mean, for the dataset card. A test holds the names against the tables."""

from __future__ import annotations

COMMON = {
    "prompt_id": "the prompt; equal for all rows with the same messages",
    "prompt": "messages up to the answer",
    "language": "ISO 639-1 code of the prompt, `und` where unknown",
    "topic": "the log's own tag",
    "source": "log format that the prompt came from",
    "weight": "for sampling; set when strata are weighed",
    "augmented_from": "prompt of which this is a variant or repeat; null for what people wrote",
    "origins": "raw records behind the row, as file:record:position",
    "evidence": "acts of feedback behind the row",
}
# Columns that only some releases have.
OPTIONAL = {"tools": "the tools that were offered, as JSON text of their schemas, as TRL reads it; null where none were"}
COLUMNS: dict[str, dict[str, str]] = {
    "preference": {
        **COMMON,
        "pair_id": "stable id of the row",
        "chosen": "the answer that was preferred, as messages",
        "rejected": "the other one",
        "recipe": "how the preference was read from the feedback; each recipe reads one kind",
        "version": "of the recipe",
        "annotators": "who judged: `people` or `models`; never both in one row",
        "margin": "how much better, above 0, on the recipe's scale; null where it has none",
        "confidence": "probability that the preference is right, above 0.5, from the votes and how often such acts are right",
        "confidence_basis": "what it rests on: `assumed`, `overlap` (several people's votes) or `words` (a judge of words beside)",
        "votes_for": "votes for the chosen answer",
        "votes_against": "votes for the rejected answer",
        "votes_tied": "votes that found both equal",
        "distance": "edits between the two answers over the longer length, where one is an edit of the other; else null",
        "chosen_model": "who wrote the chosen answer; null where unknown",
        "rejected_model": "who wrote the rejected answer; null where unknown",
        "cluster_id": "near-equal prompts share it; a cluster lies in one split",
        "augmenter": "what made the variant or repeat",
        "conversations": "conversations that the two answers and the votes come from",
        "votes": "ids of the acts of feedback behind the row",
    },
    "unpaired": {
        **COMMON,
        "example_id": "stable id of the row",
        "completion": "the answer, as messages",
        "label": "true: liked",
        "basis": "what says so: thumbs, ratings, or signals (thanks and complaints in the next turn)",
        "model": "who wrote the answer; null where unknown",
    },
    "prompts": {name: COMMON[name] for name in ("prompt_id", "prompt", "language", "topic", "source", "origins")},
}

"""Released prompts, ready for an answer, and a reward model that reads tokens as the policy writes them.

Every method that learns from its own answers needs both, before its first step. Prompts carry no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from tasks.core.shell import log
from trainer.data import encode
from trainer.data.release_reader import Prompt
from trainer.loop.metrics import Metrics

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def fitting(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, max_length: int, answer: int, method: str, stage: str
) -> tuple[list[list[int]], Metrics]:
    """The prompts that leave room for an answer, as tokens, and the counts; a UserError where there is none."""
    kept, reasons = encode.encode_prompts(prompts, tokenizer, max_length - answer)
    left_out = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    summary = f"train: {len(prompts)} prompts = {len(kept)} used + {sum(reasons.values())} left out" + (
        f" ({left_out})" if left_out else ""
    )
    if not kept:
        raise UserError(
            f"train.{method}.max_new_tokens: {answer}",
            summary,
            f"a prompt of at most {max_length - answer} tokens",
            f"raise start.max_length, or lower train.{method}.max_new_tokens",
        )
    log(stage, summary)
    return kept, {"prompts": len(kept), **{f"left_out_{reason}": count for reason, count in reasons.items()}}


def require_same_tokens(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase, where: str) -> None:
    """A UserError where policy and reward model read tokens differently: rewards would be those of another text."""
    if ours.get_vocab() != theirs.get_vocab() or ours.chat_template != theirs.chat_template:
        raise UserError(
            where,
            f"a reward model with a tokenizer of its own ({len(theirs)} tokens; the policy has {len(ours)})",
            "the policy's tokenizer and chat template",
            "train the reward model from the same start: `dvc repro reward`",
        )

"""What transformers leaves untyped or annotates too widely, with the types that hold here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from torch import device
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from trainer.data.release_reader import Messages

M = TypeVar("M", bound="Module")


def evaluating(model: M) -> M:
    """The model itself, switched to evaluation: no dropout."""
    return model.eval()


def placed(model: M, where: str | device) -> M:
    """The model itself, moved to a device."""
    return model.to(where)


def decoded(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """The text of one answer's tokens, without special tokens."""
    return cast("str", tokenizer.decode(list(tokens), skip_special_tokens=True))


def rendered(tokenizer: PreTrainedTokenizerBase, messages: Messages, add_generation_prompt: bool = False) -> str:
    """The chat as the template writes it, not yet in tokens."""
    return cast("str", tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt))

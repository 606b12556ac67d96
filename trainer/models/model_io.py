"""Models: one made from scratch, or one that lies on this machine or on a hub; and saving so that the bytes repeat.

What a source may be says `sources`. A model comes onto the machine's device (`runtime.device`) with all of its weights: one whose
files lack some, which transformers would fill with chance, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.core.errors import UserError
from trainer.data.release_reader import Pair
from trainer.models import four_bit, gguf, packed, runtime, sources, typed
from trainer.models import tokenizer as tokenizers
from trainer.models.sources import SCRATCH, Source, is_hub_name

if TYPE_CHECKING:
    from torch.nn import Embedding
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["SCRATCH", "Size", "fit", "is_hub_name", "load", "make", "tokenizer"]
# What transformers, safetensors (a bare Exception of its own) and gguf raise for files and hubs that cannot be read.
READ_ERRORS = (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError, struct.error)


@dataclass(frozen=True)
class Size:
    """The measures of a model made from scratch."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_length: int


def make(pairs: list[Pair], size: Size) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A small Llama with random weights, and a tokenizer trained on the pairs. The global seed decides the weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizers.from_scratch(pairs, size.vocab_size, size.max_length)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.num_hidden_layers,
        num_attention_heads=size.num_attention_heads,
        max_position_embeddings=size.max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config), tokenizer


def load(source: str, where: str | None = None, dtype: str = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and its tokenizer, with the weights held in `dtype`; a UserError that calls it `where` if there is none."""
    found = sources.find(source, where or f"start.model.source: {source}")
    with _readable(found), runtime.quiet():
        model, tokenizer = _read(found, dtype)
    return model if packed.stays_on_cpu(model) else typed.placed(model, runtime.device()), tokenizer


def tokenizer(source: str, where: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model that lies on this machine; a UserError that calls it `where` if there is none."""
    from transformers import AutoTokenizer

    found = sources.find(source, where)
    with _readable(found):
        read: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(found.place, revision=found.revision, trust_remote_code=False)
    return read


def _read(source: Source, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if source.gguf:
        return gguf.read(source.where, source.place, source.gguf, dtype)
    tokenizer = AutoTokenizer.from_pretrained(source.place, revision=source.revision, trust_remote_code=False)
    if packed.is_packed(Path(source.place)):
        return packed.load(Path(source.place)), tokenizer
    read = AutoModelForCausalLM.from_pretrained(
        source.place,
        revision=source.revision,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        trust_remote_code=False,
        use_safetensors=True,
        **four_bit.loading(dtype),
    )
    model, loading = cast("tuple[PreTrainedModel, dict[str, Any]]", read)
    if any(key.startswith("score.") for key in loading["unexpected_keys"]):
        raise UserError(source.where, "a model that scores answers", "one that writes them", "choose another model")
    lacking = sorted({*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])})
    if lacking:
        raise UserError(
            source.where,
            f"no weights that fit for {len(lacking)} parts of the model ({lacking[0]} ...)",
            "the weights of a whole causal language model",
            "fetch the model anew, or choose another",
        )
    return model, tokenizer


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    """Turn whatever is raised over files that cannot be read into one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (*READ_ERRORS, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        expected = "a whole GGUF file" if source.gguf else "a causal language model that transformers loads"
        raise UserError(source.where, reason, expected, _remedy(source)) from error


def _remedy(source: Source) -> str:
    """What to do about a model that cannot be read."""
    if sources.is_hub_name(source.place):
        return "check the name, the revision and the network, or copy the model here and name its folder"
    return "copy the model anew: a file of it is cut short, or of another model"


def fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    """Let the model name the tokenizer's padding; a UserError where it cannot hold the tokens or the window."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", max_length)
    if max_length > most:
        raise UserError(
            f"start.max_length: {max_length}", f"a model of at most {most} tokens", f"a window up to {most}", "lower start.max_length"
        )
    _hold_tokens(model, tokenizer)
    for config in (model.config, model.generation_config):
        config.pad_token_id = tokenizer.pad_token_id


def _hold_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make room for special tokens that were added to the tokenizer only, such as a padding; other tokens are of another model."""
    room = cast("Embedding", model.get_input_embeddings()).num_embeddings
    beyond = sorted(number for number in tokenizer.get_vocab().values() if number >= room)
    if not beyond:
        return
    added = tokenizer.added_tokens_decoder
    if any(number not in added or not added[number].special for number in beyond):
        raise UserError(
            "start.model.source",
            f"a tokenizer of {beyond[-1] + 1} tokens with a model of {room}",
            "a tokenizer and a model that were made for each other",
            "fetch both anew from one place",
        )
    model.resize_token_embeddings(beyond[-1] + 1)

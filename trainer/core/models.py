"""Models: one made from scratch, or one that lies on this machine or on a hub; and saving so that the bytes repeat.

`source` is `scratch`, a folder, or a hub name (`owner/name`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.core import tokenizer as tokenizers
from trainer.core.release import Pair

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SCRATCH = "scratch"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Size:
    """The measures of a model made from scratch."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    window: int


def is_hub_name(source: str) -> bool:
    """Whether the source is neither `scratch` nor a folder here, but may be a name on a hub."""
    return source != SCRATCH and not Path(source).exists() and HUB_NAME.fullmatch(source) is not None and source[0] not in "./~"


def make(pairs: list[Pair], size: Size) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A small Llama with random weights, and a tokenizer trained on the pairs. The global seed decides the weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizers.from_scratch(pairs, size.vocabulary, size.window)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=size.window,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config), tokenizer


def load(source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and its tokenizer from a folder or a hub, in single precision; a UserError where there is none."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not is_hub_name(source) and not (Path(source) / "config.json").is_file():
        found = "a folder without config.json" if Path(source).is_dir() else "no such folder, and no hub name"
        raise UserError(
            f"start.model.source: {source}", found, f"`{SCRATCH}`, a model's folder, or owner/name on a hub", "correct the value"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype="float32")
    except (OSError, ValueError) as error:  # what transformers raises for anything missing or unreadable, network included
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"start.model.source: {source}",
            reason,
            "a causal language model that transformers loads",
            "check the name, the files, the network",
        ) from error
    return model, tokenizer


def fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, window: int) -> None:
    """Let the model name the tokenizer's padding; a UserError where it cannot hold the tokens or the window."""
    most = getattr(model.config, "max_position_embeddings", window)
    if window > most:
        raise UserError(f"start.window: {window}", f"a model of at most {most} tokens", f"a window up to {most}", "lower start.window")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:  # the padding, or another token, was added to the tokenizer only
        model.resize_token_embeddings(len(tokenizer))
    for config in (model.config, model.generation_config):
        config.pad_token_id = tokenizer.pad_token_id


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Weights (safetensors), configuration and tokenizer, with nothing of the clock or of this machine's paths in them."""
    model.config._name_or_path = ""  # where the weights came from is a path of this machine
    tokenizer.name_or_path = ""
    for note in ("is_local", "local_files_only"):  # how this machine came by the tokenizer
        tokenizer.init_kwargs.pop(note, None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors lets nobody else read

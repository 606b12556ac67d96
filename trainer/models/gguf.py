"""Models from GGUF files, the one-file format of llama.cpp: weights as ordinary tensors again, and the tokenizer that lies with them.

In: a folder and the file's name in it. Out: a model and a tokenizer like any other.

Traps: transformers marks a model that it read from GGUF as quantized and refuses to save it, although its weights are whole
numbers of floating point by then; so a new model of the same configuration takes them over. Many files name the token that ends
an answer as padding too (`tokenizer.set_padding` mends that).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from tasks.core.errors import UserError
from trainer.models import typed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def read(where: str, folder: str, name: str, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of one GGUF file; a UserError that calls it `where` if there is no reader for it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if importlib.util.find_spec("gguf") is None:
        raise UserError(where, "no package `gguf`", "the package that reads GGUF files", "run `pip install --no-deps gguf`")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=dtype, trust_remote_code=False)
    return _plain(model), tokenizer


def _plain(read: PreTrainedModel) -> PreTrainedModel:
    """A new model with the configuration and the very tensors of one that was read from GGUF."""
    from transformers import AutoModelForCausalLM

    settings = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    config = type(read.config).from_dict(settings)
    plain: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=read.dtype)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.tie_weights()
    return typed.evaluating(plain)

"""Writing a model folder that transformers and vLLM read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Weights (safetensors), configuration and tokenizer, with nothing of the clock or of this machine's paths in them."""
    model.config._name_or_path = ""  # where the weights came from is a path of this machine
    tokenizer.name_or_path = ""
    for note in ("is_local", "local_files_only"):  # how this machine came by the tokenizer
        tokenizer.init_kwargs.pop(note, None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors lets nobody else read

"""Frozen weights in four bits (QLoRA, Dettmers et al. 2023) through bitsandbytes, under an adapter that is trained.

In: the precision of a run. Out: the name of the way weights are held, and what transformers is told for it. Needs a CUDA GPU.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from tasks.core.errors import UserError
from trainer.models import parallel
from trainer.settings import Adapter

PACKAGE = "bitsandbytes"
PREFIX = "nf4-"  # before the precision in which products are computed


def held(adapter: Adapter, dtype: str) -> str:
    """The name for weights in four bits; a UserError where they cannot be had."""
    if not adapter.r:
        where, found, remedy = "adapter.load_in_4bit: true", "adapter.r: 0, which trains the weights themselves", "set adapter.r above 0"
        raise UserError(where, found, "a rank above 0", remedy)
    if parallel.on_cpu():
        remedy = "set adapter.load_in_4bit to false, or train where a CUDA GPU is"
        raise UserError("adapter.load_in_4bit: true", "no GPU that torch can use", "one with CUDA", remedy)
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError("adapter.load_in_4bit: true", f"no package `{PACKAGE}`", "the package", f"run `pip install {PACKAGE}`")
    return PREFIX + dtype


def loading(dtype: str) -> dict[str, Any]:
    """What `from_pretrained` is told for weights held in this way: a precision, or one after the name for four bits."""
    if not dtype.startswith(PREFIX):
        return {"dtype": dtype}
    import torch
    from transformers import BitsAndBytesConfig

    kind = getattr(torch, dtype.removeprefix(PREFIX))
    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    return {"dtype": kind, "quantization_config": quantization}

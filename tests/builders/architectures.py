"""Tiny models with random weights of the architectures in use, made on the spot, each with the tokenizer that a model from scratch has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.builders import releases
from trainer.data import release_reader
from trainer.models import saving, tokenizer

WIDTH, LAYERS, WINDOW = 32, 2, 256
SIZES: dict[str, Any] = {  # by the names that most configurations have
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": WINDOW,
}
GPT_2 = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "n_positions": WINDOW, "n_inner": 64}
MAMBA = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "state_size": 8, "time_step_rank": 4}
MAMBA_2 = MAMBA | {"num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 32}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
# Model type: what its configuration is told beside the tokens.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "mistral": SIZES | {"sliding_window": None},
    "qwen2": SIZES,
    "qwen3": SIZES | {"head_dim": 16},
    "qwen3_moe": SIZES | {"head_dim": 16} | EXPERTS,
    "gemma2": SIZES | {"head_dim": 16},
    "gemma3_text": SIZES | {"head_dim": 16},
    "phi": SIZES,
    "phi3": SIZES,
    "gpt2": GPT_2,
    "gpt_neox": SIZES,
    "granite": SIZES,
    "cohere": SIZES,
    "lfm2": SIZES | {"layer_types": ["conv", "full_attention"]},
    "mamba": MAMBA,
    "mamba2": MAMBA_2,
    "gpt_oss": SIZES | {"head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
}


def write(folder: Path, name: str) -> Path:
    """A folder with a tiny model of this architecture."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    rows = releases.planted({"train": 40})
    pairs = [release_reader.Pair(**{column: row[column] for column in release_reader.COLUMNS}) for row in rows]
    made = tokenizer.from_scratch(pairs, 400, WINDOW)
    told = {"vocab_size": len(made), "bos_token_id": None, "eos_token_id": made.eos_token_id, "pad_token_id": made.pad_token_id}
    config = AutoConfig.for_model(name, **told, **ARCHITECTURES[name])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    saving.save(model, made, folder)
    return folder

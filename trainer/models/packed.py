"""Model folders in a storage of our own: weights as eight-bit integers, or without their zeros.

In: a model and the name of a storage. Out: a folder that `models.load` reads. `half` and `float32` are plain safetensors, which
transformers and vLLM read as well. All others hold `compression.json` (how each tensor is stored) and `packed.safetensors`:

- `int8`: each row of a matrix as integers -127..127 and one scale; computed as single-precision numbers after loading.
- `dynamic`: the same bytes, computed with eight-bit kernels (`trainer.models.int8`).
- `sparse`: only the values that are not zero, and one bit a place that says where they stand (the sparse bitmask of the
  compressed-tensors library). Any tensor of another packed storage that becomes smaller that way is stored so too.

The file is not called `model.safetensors` on purpose: transformers would fill what it does not find with random numbers and only warn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from tasks.core import manifest
from tasks.core.errors import UserError
from trainer.models import saving

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NAME, WEIGHTS = "compression.json", "packed.safetensors"
PLAIN = ("float32", "half")
PACKED = ("int8", "dynamic", "sparse")
LEVELS = 127  # largest integer of a weight; -128 stays unused, so that the range is even on both sides
Tensors = dict[str, "Tensor"]


class Stored(TypedDict):
    """How a weight is stored."""

    values: str  # int8, or the name of torch's type
    shape: list[int]
    sparse: bool  # without its zeros


def is_packed(folder: Path) -> bool:
    """Whether the folder holds a model that only this project reads."""
    return (folder / NAME).is_file()


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, storage: str) -> None:
    """Write model and tokenizer; the model itself stays as it is."""
    saving.save(_halved(model) if storage == "half" else model, tokenizer, folder)
    if storage in PLAIN:
        return
    for path in folder.glob("model*.safetensors*"):
        path.unlink()
    tensors, how = pack(_state(model), storage)
    _save_tensors(tensors, folder / WEIGHTS)
    (folder / NAME).write_bytes(manifest.dumps({"storage": storage, "tensors": how}))


def load(folder: Path) -> PreTrainedModel:
    """The model of a packed folder, on the CPU; a UserError where the folder is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, GenerationConfig

    try:
        document = json.loads((folder / NAME).read_bytes())
        tensors = load_file(folder / WEIGHTS)
        state = {name: unpack(tensors, name, how) for name, how in document["tensors"].items()}
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = cast("type[PreTrainedModel]", MODEL_FOR_CAUSAL_LM_MAPPING[type(config)])
        model = kind.from_pretrained(None, config=config, state_dict=state, dtype="float32")
        model.generation_config = GenerationConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            str(folder), reason, "a model as the stage compress writes it", "make it again with `dvc repro compress`"
        ) from error
    if document["storage"] == "dynamic":
        from trainer.models import int8

        whole = {name: rows(tensors, name, how) for name, how in document["tensors"].items() if how["values"] == "int8"}
        int8.install(model, whole)
        model.config.dynamic_int8 = True
    return model


def stays_on_cpu(model: PreTrainedModel) -> bool:
    """Whether the model computes with kernels that only a CPU has."""
    return bool(getattr(model.config, "dynamic_int8", False))


def pack(state: Tensors, storage: str) -> tuple[Tensors, dict[str, Stored]]:
    """The tensors to write, and how each is stored."""
    tensors: Tensors = {}
    document: dict[str, Stored] = {}
    for name, weight in state.items():
        integers = storage != "sparse" and weight.ndim == 2
        values, scale = quantize(weight) if integers else (weight, None)
        if scale is not None:
            tensors[f"{name}.scale"] = scale
        sparse = _is_smaller_sparse(values)
        document[name] = {
            "values": "int8" if integers else str(weight.dtype).removeprefix("torch."),
            "shape": list(weight.shape),
            "sparse": sparse,
        }
        if sparse:
            tensors[f"{name}.mask"], values = _bits(values), values[values != 0]
        tensors[name] = values.contiguous()
    return tensors, document


def unpack(tensors: Tensors, name: str, how: Stored) -> Tensor:
    """One weight as numbers to compute with."""
    if how["values"] != "int8":
        return _dense(tensors, name, how)
    values, scale = rows(tensors, name, how)
    return values.float() * scale[:, None]


def rows(tensors: Tensors, name: str, how: Stored) -> tuple[Tensor, Tensor]:
    """The integers of a weight and the scale of each row."""
    return _dense(tensors, name, how), tensors[f"{name}.scale"]


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Integers -127..127 and one scale a row, so that the largest of a row is exact and zero stays zero."""
    import torch

    top = weight.detach().float().abs().amax(dim=1)
    scale = torch.where(top > 0, top / LEVELS, torch.ones_like(top))
    return torch.round(weight.detach().float() / scale[:, None]).to(torch.int8), scale


def _state(model: PreTrainedModel) -> Tensors:
    """Every weight once: what is tied is named by its first name."""
    seen: dict[int, str] = {}
    state = {}
    for name, weight in model.state_dict().items():
        if seen.setdefault(weight.data_ptr(), name) == name:
            state[name] = weight.detach().cpu()
    return state


def _halved(model: PreTrainedModel) -> PreTrainedModel:
    """A copy whose weights take two bytes (float16 keeps three more bits than bfloat16, and a trained model's weights are small)."""
    import copy

    halved: PreTrainedModel = copy.deepcopy(model).half()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    return halved


def _is_smaller_sparse(values: Tensor) -> bool:
    """Whether the values without zeros, and a bit a place, take fewer bytes than all values."""
    full = values.numel() * values.element_size()
    return int((values != 0).sum()) * values.element_size() + -(-values.numel() // 8) < full


def _bits(values: Tensor) -> Tensor:
    """One bit a place: whether something stands there."""
    import numpy as np
    import torch

    return torch.from_numpy(np.packbits((values != 0).flatten().numpy()))


def _dense(tensors: Tensors, name: str, how: Stored) -> Tensor:
    """The values with their zeros, in their shape."""
    import numpy as np
    import torch

    values = tensors[name]
    if not how["sparse"]:
        return values
    places = torch.from_numpy(np.unpackbits(tensors[f"{name}.mask"].numpy())).bool()
    full = torch.zeros(how["shape"], dtype=values.dtype)
    full.view(-1)[places[: full.numel()]] = values
    return full


def _save_tensors(tensors: Tensors, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, path)
    path.chmod(0o644)  # safetensors lets nobody else read

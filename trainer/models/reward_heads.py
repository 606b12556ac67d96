"""A head of one number on any architecture that transformers knows: its body, and a linear layer read at the last token.

In: a folder with a language model or a reward model. Out: `<Architecture>ForSequenceClassification`, of transformers' own names and layout
of weights (`GenericForSequenceClassification` there), so that whoever has that class loads what is saved here. About half of the causal
architectures have none (Granite, Cohere, LFM2, Mamba, ...); their reward models load here.

Trap: not every body takes positions or a cache (Mamba), so each is called with what it takes.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.core.errors import UserError
from trainer.models import four_bit, runtime

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

HEAD = "score"  # the name that transformers gives the layer


def read(folder: Path, dtype: str, new: bool) -> PreTrainedModel:
    """The scorer whose weights lie in the folder; with `new` its head may be missing. A UserError where any other weight is missing."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, num_labels=1, trust_remote_code=False)
    with runtime.quiet():  # the head is new and the language model's is gone: both are meant
        loaded = of(config).from_pretrained(
            folder, config=config, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **four_bit.loading(dtype)
        )
    model, loading = cast("tuple[PreTrainedModel, dict[str, Any]]", loaded)
    lacking = sorted(key for key in loading["missing_keys"] if not (new and key.startswith(f"{HEAD}.")))
    if lacking:
        found = f"no weights for {len(lacking)} parts of the model ({lacking[0]} ...)"
        raise UserError(str(folder), found, "the weights of a whole model", "run the stage again")
    return model


def of(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class of scorers of this architecture; a UserError where transformers has no body for it."""
    from transformers import MODEL_MAPPING

    found = cast("Any", MODEL_MAPPING).get(type(config), None)
    if not found:
        expected = "an architecture with a body, to put a head on"
        raise UserError(f"model type {config.model_type}", "no base model in transformers", expected, "choose another model")
    return _on(found[0] if isinstance(found, tuple) else found)


@functools.cache
def _on(body: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """A class with this body and a head."""
    from transformers import PreTrainedModel

    family = next(kind for kind in reversed(body.__mro__) if issubclass(kind, PreTrainedModel) and kind is not PreTrainedModel)

    def begin(self: PreTrainedModel, config: PreTrainedConfig) -> None:
        from torch import nn

        family.__init__(self, config)
        self.num_labels = 1  # type: ignore[assignment]  # transformers declares modules and tensors only
        setattr(self, self.base_model_prefix, body(config))
        setattr(self, HEAD, nn.Linear(config.get_text_config().hidden_size, 1, bias=False))
        self.post_init()  # type: ignore[no-untyped-call]  # transformers leaves it untyped

    name = f"{body.__name__.removesuffix('Model')}ForSequenceClassification"
    own = {"__init__": begin, "forward": _forward, "__module__": __name__, "config_class": body.config_class}  # a family's may be larger
    return cast("type[PreTrainedModel]", type(name, (family,), own))


def _forward(
    self: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None, **_: object
) -> SequenceClassifierOutput:
    """The score at the last token that is not padding, on whichever side that stands: logits of rows x 1."""
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    given = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
    scores = cast("Module", getattr(self, HEAD))(states(self, {name: value for name, value in given.items() if value is not None}))
    rows = torch.arange(len(input_ids), device=scores.device)
    places = torch.arange(input_ids.shape[1], device=scores.device)
    last = (places * (torch.ones_like(input_ids) if attention_mask is None else attention_mask)).argmax(1)
    return SequenceClassifierOutput(logits=scores[rows, last])


def states(model: PreTrainedModel, given: dict[str, Tensor]) -> Tensor:
    """What the body says of every token: rows x tokens x width."""
    body = getattr(model, model.base_model_prefix)
    found: Tensor = body(**taken(body, given | {"use_cache": False})).last_hidden_state
    return found


def taken(model: Module, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the model's forward pass names."""
    names = inspect.signature(model.forward).parameters
    return {name: value for name, value in given.items() if name in names}

"""The memory of each stage of training on one device: weights, gradients, the optimizer's state, activations, and the peak of them all.

In: the parameters as `params.yaml` has them, and the model's configuration: of a folder, a `config.json`, the hub's cache, or a model whose
measures a preset brings along. Out: a `Need` a stage. Nothing is loaded.

A step is planned as the longest that the window allows: each row fills it, one half of it an answer. The peak is the larger of two moments:
the end of the way forward, when all activations are there, and the optimizer's step, when all gradients are. Where a batch is added up of
several parts, gradients of the first parts are there in both. What Python and its libraries take is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.errors import UserError
from trainer import presets
from trainer.methods import shared_prompt
from trainer.models import sources
from trainer.planning import memory
from trainer.planning.memory import FOUR_BIT, HALF, SINGLE, Shape
from trainer.settings import Adapter, Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from trainer.start import Params as Start
    from trainer.train import Params as Train

MOMENTS = 2  # numbers that Adam keeps of each weight
ORIGIN = "_name"  # in the configuration that a preset brings along: the model's name on the hub


@dataclass(frozen=True)
class Need:
    """Bytes of one stage on each device that trains."""

    stage: str
    how: str
    parameters: int
    trained: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    peak: int


@dataclass(frozen=True)
class Step:
    """What a stage of training does at once."""

    stage: str
    how: str
    shape: Shape
    adapter: Adapter
    schedule: Schedule
    models: int = 0  # frozen ones beside the one that is trained
    learners: int = 1


def needs(config: PreTrainedConfig, start: Start, reward: Any, train: Train) -> list[Need]:  # noqa: ANN401  # a stage's parameters
    """What each stage takes, in their order; the supervised start only where it trains."""
    return [_need(config, step, start.dtype) for step in steps(start, reward, train, config.get_text_config().vocab_size)]


def steps(start: Start, reward: Any, train: Train, vocabulary: int) -> Iterator[Step]:  # noqa: ANN401
    """The largest step of each stage."""
    window, half = start.max_length, start.max_length // 2
    if start.schedule.num_train_epochs:
        micro = start.schedule.per_device_train_batch_size
        yield Step("start", "supervised", Shape(micro, window, half), start.adapter, start.schedule)
    yield Step("reward", "pairs", Shape(2 * reward.schedule.per_device_train_batch_size, window, 0), reward.adapter, reward.schedule)
    micro = train.schedule.per_device_train_batch_size
    if train.method == "ppo":
        shape = Shape(micro, window, min(train.ppo.max_new_tokens, window))
        yield Step("train", "ppo", shape, train.adapter, train.schedule, models=1 if train.adapter.r else 2, learners=2)
    elif train.method == "dpo" and micro * window * vocabulary <= shared_prompt.MOST_LOGITS:  # both answers in one row
        yield Step("train", "dpo", Shape(micro, window + half, window), train.adapter, train.schedule)
    else:  # frozen beside it: the reference that follows, and the judge and the reference of what the policy writes itself
        beside = {"tr_dpo": 1, **dict.fromkeys(("grpo", "rloo", "online", "best_of_n"), 1 if train.adapter.r else 2)}
        yield Step("train", train.method, Shape(2 * micro, window, half), train.adapter, train.schedule, models=beside.get(train.method, 0))


def _need(config: PreTrainedConfig, step: Step, dtype: str) -> Need:
    """The bytes of a step; trained weights are in single precision, frozen ones in the run's, or in four bits."""
    found, number = memory.sizes(config, step.adapter), HALF if dtype == "bfloat16" else SINGLE
    held = _held(found, step.adapter, number)
    weights = step.learners * held + step.models * found.whole * SINGLE
    gradients = step.learners * found.trained * SINGLE
    optimizer = MOMENTS * gradients
    activations = step.learners * memory.activations(config, step.shape, step.adapter, number)
    # On the way back the gradient of the logits stands beside them.
    back = step.shape.rows * step.shape.logits * config.get_text_config().vocab_size * SINGLE
    added = step.schedule.train_batch_size > step.schedule.per_device_train_batch_size
    peak = weights + optimizer + max(gradients, activations + back + (gradients if added else 0))
    return Need(step.stage, step.how, found.whole, step.learners * found.trained, weights, gradients, optimizer, activations + back, peak)


def _held(found: memory.Sizes, adapter: Adapter, number: int) -> int:
    """Bytes of the weights of a model that is trained."""
    if not adapter.r:
        return found.whole * SINGLE
    frozen = (found.whole - found.linear) * number + int(found.linear * FOUR_BIT) if adapter.load_in_4bit else found.whole * number
    return frozen + found.trained * SINGLE


def config_of(start: Start, file: str | None) -> PreTrainedConfig:
    """The configuration of the model to train, or the one in a file; a UserError where neither is here."""
    source = start.model.source
    if file:
        return _read(Path(file), f"--config {file}")
    if source == sources.SCRATCH:
        return _scratch(start)
    for path in sorted(presets.FOLDER.glob("*.json")):
        document = json.loads(path.read_bytes())
        if document[ORIGIN] == source.partition("@")[0]:
            return _made(document, str(path))
    if sources.is_hub_name(source):
        return _cached(source)
    found = sources.find(source, f"start.model.source: {source}")
    if found.gguf:
        raise UserError(f"start.model.source: {source}", "a GGUF file", "a config.json of its model", "name one with --config")
    return _read(Path(found.place) / "config.json", f"start.model.source: {source}")


def _scratch(start: Start) -> PreTrainedConfig:
    from transformers import LlamaConfig

    own = start.model
    return LlamaConfig(
        vocab_size=own.vocab_size,
        hidden_size=own.hidden_size,
        intermediate_size=own.intermediate_size,
        num_hidden_layers=own.num_hidden_layers,
        num_attention_heads=own.num_attention_heads,
        max_position_embeddings=start.max_length,
        tie_word_embeddings=True,
    )


def _read(path: Path, where: str) -> PreTrainedConfig:
    """A configuration from a file, or from the folder that has it."""
    path = path / "config.json" if path.is_dir() else path
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(where, f"no JSON in {path}", "a model's config.json", "correct the path") from error
    return _made(document, where)


def _made(document: object, where: str) -> PreTrainedConfig:
    from transformers import AutoConfig

    try:
        told: dict[str, Any] = {key: value for key, value in dict(document).items() if key != ORIGIN}  # type: ignore[call-overload]  # checked here
        return AutoConfig.for_model(**told)
    except (TypeError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(where, reason, "the config.json of a causal language model", "correct it") from error


def _cached(source: str) -> PreTrainedConfig:
    from transformers import AutoConfig

    name, _, revision = source.partition("@")
    try:
        found: PreTrainedConfig = AutoConfig.from_pretrained(
            name, revision=revision or None, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        remedy = "name its config.json with --config, or fetch the model first"
        raise UserError(
            f"start.model.source: {source}", "no configuration in the hub's cache", "the model's config.json", remedy
        ) from error
    return found

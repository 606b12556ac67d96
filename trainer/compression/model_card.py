"""The model card: README.md of the hand-over, whose head tells the Hugging Face hub what the model is.

In: the folders of the release, of the evaluation and of the models on the way, what the run stood on, the outcome of `compress`. Out: the
card's text, without a clock in it. The head is written by huggingface_hub's own `ModelCardData`, so that the hub reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.common.vocabulary.splits import SPLITS
from tasks.core import manifest
from trainer.evaluation import verdict
from trainer.models import training_context
from trainer.models.sources import SCRATCH, is_hub_name
from trainer.models.training_context import TrainingContext

FENCE = "---"
# Of the evaluation's metrics those that a reader of the card needs, in words; a name ending in `_` stands for its two ends.
EVALUATED = {
    "test_accuracy": ("preference accuracy, by what was gained on the start (a coin: 0.5)", "test_accuracy_"),
    "test_likelihood_policy": ("the same by likelihood alone", ""),
    "test_likelihood_reference": ("by likelihood, before it learned from preferences", ""),
    "controlled_policy_balanced": ("preference accuracy where longer and shorter chosen answers count one half each", ""),
    "test_reward_accuracy": ("preference accuracy of the reward model", "test_reward_accuracy_"),
    "baseline_longer_accuracy": ('baseline "the longer wins"', ""),
    "baseline_tfidf_accuracy": ("baseline TF-IDF Bradley-Terry", ""),
    "control_mean": ("control trained on shuffled labels, mean of its seeds (belongs near 0.5)", "control_"),
    "generated_length_ratio_policy": ("characters of its answers, by those of the answers that people chose", ""),
    "generated_length_ratio_reference": ("the same before it learned from preferences", ""),
    "generated_unfinished_policy": ("share of its answers that never end", ""),
    "generated_circling_policy": ("share of its answers that go round in circles", ""),
    "generated_again_policy": ("share of its phrases that stood in the same answer before", ""),
    "generated_again_chosen": ("the same of the answers that people chose", ""),
    "generated_win_rate": (
        "its answers win against those from before, by the reward model, which is no neutral judge",
        "generated_win_rate_",
    ),
}
WIDTH = 120  # of a line of parameters
Document = Mapping[str, Any]


@dataclass(frozen=True)
class CardText:
    """What a card says that no figure can tell."""

    title: str
    license: str


def render(words: CardText, context: TrainingContext, release: Path, evaluation: Path, made: Mapping[str, Path], outcome: Document) -> str:
    """The whole card; `made` are the folders of the models on the way, by their stages."""
    listed = manifest.load(release)
    one = outcome["variants"][outcome["pick"]]
    parts = [
        f"# {words.title}",
        *_warning(verdict.read(evaluation)),
        _origin(context, outcome),
        "## Use\n\n" + _use(one),
        "## Data\n\n" + _data(context, release, listed),
        "## Figures\n\n" + _figures(outcome) + "\n\n" + _evaluated(evaluation),
        "## How it was trained\n\n" + _trained(context, listed, made),
        "## Limits\n\n" + _limits(outcome),
        "## Licence\n\n" + _licence(words, context, release),
    ]
    return f"{FENCE}\n{_head(words, context, release, outcome)}\n{FENCE}\n\n" + "\n\n".join(parts) + "\n"


def _head(words: CardText, context: TrainingContext, release: Path, outcome: Document) -> str:
    """What the hub reads."""
    from huggingface_hub import EvalResult, ModelCardData

    one = outcome["variants"][outcome["pick"]]
    result = EvalResult(
        task_type="text-generation",
        dataset_type="pairwright-release",
        dataset_name=_front(release).get("pretty_name", "held-out preferences"),
        dataset_split="test",
        dataset_revision=context.release,
        metric_type="accuracy",
        metric_name="held-out preference accuracy",
        metric_value=one["test"]["accuracy"],
    )
    data = ModelCardData(
        license=words.license,
        language=_front(release).get("language"),
        library_name="transformers" if one["plain"] else "pairwright",
        pipeline_tag="text-generation",
        base_model=context.source.partition("@")[0] if is_hub_name(context.source) else None,
        tags=["preference", "human-feedback", "pairwright"],
        model_name=words.title,
        eval_results=[result],
    )
    return str(data.to_yaml())


def _front(folder: Path) -> dict[str, Any]:
    """The head of a folder's own card; nothing where there is none."""
    path = folder / "README.md"
    parts = path.read_text(encoding="utf-8").split(FENCE, 2) if path.is_file() else []
    found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    return found if isinstance(found, dict) else {}


def _warning(said: Document) -> list[str]:
    """What stands first where the model writes worse than before."""
    faults = said.get("faults")
    return [f"> **Not recommended.** It writes worse than it should: {'; '.join(faults)}."] if faults else []


def _origin(context: TrainingContext, outcome: Document) -> str:
    source = "made from scratch" if context.source == SCRATCH else f"started from `{context.source}`"
    variant = outcome["variants"][outcome["pick"]]
    made = f"It is the variant `{outcome['pick']}` of {len(outcome['variants'])} that were measured, stored as {variant['storage']}."
    return f"A chat model that was {source} and trained on the preferences of people, with Pairwright. {made}"


def _use(one: Document) -> str:
    chat = "```sh\npairwright chat --model FOLDER\n```"
    if not one["plain"]:
        return (
            f"{chat}\n\nOnly Pairwright reads this folder (`trainer.models.model_io.load`): its weights are packed (`compression.json`, "
            "`packed.safetensors`), which neither transformers nor vLLM know. For a folder that they read, leave the packed storages "
            "out of `compress.variants`."
        )
    code = (
        "from transformers import pipeline\n\n"
        'chat = pipeline("text-generation", model="FOLDER", dtype="auto")\n'
        'messages = [{"role": "user", "content": "My printer does not start."}]\n'
        'print(chat(messages, max_new_tokens=200)[0]["generated_text"][-1]["content"])'
    )
    serve = "transformers serve FOLDER   # pip install 'transformers[serving]'\nvllm serve FOLDER           # on a GPU"
    return f"```python\n{code}\n```\n\n{chat}\n\nAn endpoint that speaks OpenAI's protocol:\n\n```sh\n{serve}\n```"


def _data(context: TrainingContext, release: Path, listed: Document) -> str:
    files = [(name, entry["rows"]) for name, entry in sorted(listed["files"].items()) if name.startswith("preference/") and "rows" in entry]
    counts = {split: sum(rows for name, rows in files if name.startswith(f"preference/{split}-")) for split in SPLITS}
    lines = [f"- release: {_front(release).get('pretty_name', 'preferences')}", f"- SHA-256 of its manifest: `{context.release}`"]
    lines += ["- pairs: " + ", ".join(f"{split} {rows:,}" for split, rows in counts.items())] if files else []
    lines += [f"- parameters of its stages (SHA-256): {digests}"] if (digests := _digests(listed)) else []
    return "\n".join(lines)


def _digests(listed: Document) -> str:
    return ", ".join(f"{stage} `{digest[:12]}`" for stage, digest in sorted(listed.get("params", {}).items()))


def _figures(outcome: Document) -> str:
    """The original and the pick, side by side."""
    roles = {"this model": outcome["variants"][outcome["pick"]], "before compression": outcome["variants"]["original"]}
    lines = ["| | " + " | ".join(roles) + " |", "|---|" + "---|" * len(roles)]
    for split in ("validation", "test"):
        cells = [f"{one[split]['accuracy']:.3f} [{one[split]['low']:.3f}, {one[split]['high']:.3f}]" for one in roles.values()]
        lines.append(f"| preference accuracy, {split} ({next(iter(roles.values()))[split]['n']:,} pairs) | " + " | ".join(cells) + " |")
        lines.append(f"| mean margin, {split} (nats) | " + " | ".join(f"{one[split]['margin']:.2f}" for one in roles.values()) + " |")
    lines.append("| broken answers | " + " | ".join(f"{one['errors']['share']:.3f}" for one in roles.values()) + " |")
    lines.append("| bytes | " + " | ".join(f"{one['bytes']:,}" for one in roles.values()) + " |")
    return "\n".join(lines) + (
        "\n\nA pair counts as right where the chosen answer gained more on the reference model (the start of training) than the "
        "rejected one. In brackets: Wilson's 95 % interval. All variants are in `pareto.json`."
    )


def _evaluated(folder: Path) -> str:
    """What the evaluation says of the policy before compression, beside its baselines and its control; what was not counted is left out."""
    figures = json.loads((folder / "metrics.json").read_bytes())
    lines = [f"| {words} | {_figure(figures, name, ends)} |" for name, (words, ends) in EVALUATED.items() if name in figures]
    body = "\n".join(["| test split | |", "|---|---|", *lines])
    sentence = verdict.read(folder).get("sentence", "")
    verdict_line = f" {sentence[0].upper()}{sentence[1:]}." if sentence else ""
    return f"Evaluation of the model before compression, in brackets 95 % intervals.{verdict_line}\n\n{body}"


def _figure(figures: Document, name: str, ends: str) -> str:
    low, high = (figures.get(f"{ends}{end}") for end in ("low", "high"))
    return f"{figures[name]:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def _trained(context: TrainingContext, listed: Document, made: Mapping[str, Path]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(listed.get("versions", {}).items()))
    intro = (
        f"Seed {context.seed}, {context.threads} threads, a window of {context.max_length} tokens, {context.dtype}"
        + (", **on shuffled labels: a control that must learn nothing**" if context.shuffle_labels else "")
        + ". The parameters of both trainings, but for those of monitoring; `trained_on.json` holds those of the compression:"
    )
    data = f"\n\nThe data was made with {versions}." if versions else ""
    config = yaml.safe_dump(
        {stage: _config(folder) for stage, folder in made.items()}, sort_keys=False, default_flow_style=None, width=WIDTH
    )
    return f"{intro}\n\n```yaml\n{config}```{data}"


def _config(folder: Path) -> dict[str, Any]:
    """A stage's own parameters as it wrote them beside its model, but for monitoring and for the methods that it did not use."""
    params = json.loads((folder / training_context.NAME).read_bytes())["params"]
    if "method" in params:
        return {name: params[name] for name in ("method", params["method"], "adapter")}
    return {name: value for name, value in params.items() if name not in ("monitoring", *TrainingContext.__dataclass_fields__)}


def _limits(outcome: Document) -> str:
    errors = outcome["variants"][outcome["pick"]]["errors"]
    kinds = ", ".join(f"{kind.replace('_', ' ')} {errors[kind]}" for kind in sorted(errors) if kind not in ("prompts", "share"))
    return "\n".join(
        [
            f"- Of {errors['prompts']:,} sampled answers to held-out prompts, {errors['share']:.1%} are broken ({kinds}).",
            "- The validation split chose the variant, which therefore looks better there than it is; the test split chose nothing.",
            "- It prefers what the people behind the feedback preferred, mistakes included; nothing was done to make it safe or truthful.",
            "- Held-out accuracy says which of two given answers the model prefers, not how good its own answers are.",
        ]
    )


def _licence(words: CardText, context: TrainingContext, release: Path) -> str:
    lines = [f"- this model: {words.license} (as `compress.card.license` says)"]
    lines.append(f"- the data: {_front(release).get('license', 'not stated')}")
    if context.source != SCRATCH:
        lines.append(
            f"- the model that it started from (`{context.source}`): {_front(Path(context.source)).get('license', 'see its own card')}"
        )
    return "\n".join(lines)

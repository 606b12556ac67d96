"""The model card: README.md of the hand-over, whose head tells the Hugging Face hub what the model is.

In: the folders of the release and of the evaluation, what the run stood on, the outcome of `compress`. Out: the card's text, without a
clock in it. The head is written by huggingface_hub's own `ModelCardData`, so that the hub reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.core import manifest
from trainer.core.basis import Basis
from trainer.core.sources import SCRATCH, is_hub_name

FENCE = "---"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Words:
    """What a card says that no figure can tell."""

    title: str
    license: str


def card(words: Words, base: Basis, release: Path, evaluation: Path, told: Document) -> str:
    """The whole card."""
    listed = manifest.load(release)
    one = told["variants"][told["pick"]]
    parts = [
        f"# {words.title}",
        _origin(base, told),
        "## Use\n\n" + _use(one),
        "## Data\n\n" + _data(base, release, listed),
        "## Figures\n\n" + _figures(told) + "\n\n" + _evaluated(evaluation),
        "## How it was trained\n\n" + _trained(base, listed),
        "## Limits\n\n" + _limits(told),
        "## Licence\n\n" + _licence(words, base, release),
    ]
    return f"{FENCE}\n{_head(words, base, release, told)}\n{FENCE}\n\n" + "\n\n".join(parts) + "\n"


def _head(words: Words, base: Basis, release: Path, told: Document) -> str:
    """What the hub reads."""
    from huggingface_hub import EvalResult, ModelCardData

    one = told["variants"][told["pick"]]
    result = EvalResult(
        task_type="text-generation",
        dataset_type="pairwright-release",
        dataset_name=_front(release).get("pretty_name", "held-out preferences"),
        dataset_split="test",
        dataset_revision=base.release,
        metric_type="accuracy",
        metric_name="held-out preference accuracy",
        metric_value=one["test"]["accuracy"],
    )
    data = ModelCardData(
        license=words.license,
        language=_front(release).get("language"),
        library_name="transformers" if one["plain"] else "pairwright",
        pipeline_tag="text-generation",
        base_model=base.source if is_hub_name(base.source) else None,
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


def _origin(base: Basis, told: Document) -> str:
    source = "made from scratch" if base.source == SCRATCH else f"started from `{base.source}`"
    variant = told["variants"][told["pick"]]
    made = f"It is the variant `{told['pick']}` of {len(told['variants'])} that were measured, stored as {variant['storage']}."
    return f"A chat model that was {source} and trained on the preferences of people, with Pairwright. {made}"


def _use(one: Document) -> str:
    chat = "```sh\npairwright chat --model FOLDER\n```"
    if not one["plain"]:
        return (
            f"{chat}\n\nOnly Pairwright reads this folder (`trainer.core.models.load`): its weights are packed (`compression.json`, "
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


def _data(base: Basis, release: Path, listed: Document) -> str:
    files = [(name, entry["rows"]) for name, entry in sorted(listed["files"].items()) if name.startswith("preference/") and "rows" in entry]
    counts = {
        split: sum(rows for name, rows in files if name.startswith(f"preference/{split}-")) for split in ("train", "validation", "test")
    }
    lines = [f"- release: {_front(release).get('pretty_name', 'preferences')}", f"- SHA-256 of its manifest: `{base.release}`"]
    lines += ["- pairs: " + ", ".join(f"{split} {rows:,}" for split, rows in counts.items())] if files else []
    lines += [f"- parameters of its stages (SHA-256): {digests}"] if (digests := _digests(listed)) else []
    return "\n".join(lines)


def _digests(listed: Document) -> str:
    return ", ".join(f"{stage} `{digest[:12]}`" for stage, digest in sorted(listed.get("params", {}).items()))


def _figures(told: Document) -> str:
    """The original and the pick, side by side."""
    roles = {"this model": told["variants"][told["pick"]], "before compression": told["variants"]["original"]}
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
    """The figures of the evaluation of the policy before compression, as its `metrics.json` has them."""
    figures = json.loads((folder / "metrics.json").read_bytes())
    body = "\n".join(f"| {name} | {value} |" for name, value in sorted(figures.items()) if name.startswith("test_"))
    return f"Evaluation of the model before compression, test split:\n\n| figure | value |\n|---|---|\n{body}"


def _trained(base: Basis, listed: Document) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(listed.get("versions", {}).items()))
    told = (
        f"Seed {base.seed}, {base.threads} threads, a window of {base.window} tokens, {base.precision}"
        + (", **on shuffled labels: a control that must learn nothing**" if base.shuffle_labels else "")
        + ". `trained_on.json` holds the parameters of the last stage; those of training lie beside the policy that this was made of."
    )
    return told + (f" The data was made with {versions}." if versions else "")


def _limits(told: Document) -> str:
    errors = told["variants"][told["pick"]]["errors"]
    kinds = ", ".join(f"{kind.replace('_', ' ')} {errors[kind]}" for kind in sorted(errors) if kind not in ("prompts", "share"))
    return "\n".join(
        [
            f"- Of {errors['prompts']:,} answers to held-out prompts (no sampling), {errors['share']:.1%} are broken ({kinds}).",
            "- The validation split chose the variant, which therefore looks better there than it is; the test split chose nothing.",
            "- It prefers what the people behind the feedback preferred, mistakes included; nothing was done to make it safe or truthful.",
            "- Held-out accuracy says which of two given answers the model prefers, not how good its own answers are.",
        ]
    )


def _licence(words: Words, base: Basis, release: Path) -> str:
    lines = [f"- this model: {words.license} (as `compress.card.license` says)"]
    lines.append(f"- the data: {_front(release).get('license', 'not stated')}")
    if base.source != SCRATCH:
        lines.append(f"- the model that it started from (`{base.source}`): {_front(Path(base.source)).get('license', 'see its own card')}")
    return "\n".join(lines)

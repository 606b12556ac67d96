"""The table of architectures and chat templates: a tiny model of each through every stage, and each template through its checks.

    python -m tests.benchmarks.architectures [NAME ...]

Models have random weights and two layers and are made on the spot. A cell is `ok`, or the reason in one line for which the stage refuses.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError
from tests.builders import architectures, chat_templates, releases
from tests.builders.training import run, tiny
from trainer.models import template_repairs
from trainer.models import tokenizer as tokenizers
from trainer.settings import ChatTemplate

OK = "ok"
STAGES = ("start", "reward", "dpo", "kto", "ppo", "evaluate", "compress")
COUNTS = {"train": 16, "validation": 6, "test": 6}
PPO = {"schedule__train_batch_size": 4, "max_new_tokens": 8, "num_mini_batches": 1, "num_ppo_epochs": 1}
WRITTEN = {"prompts": 2, "max_new_tokens": 8}
EVALUATED: dict[str, Any] = {"resamples": 20, "control__seeds": 0, "generations__examples": 1}
COMPRESSED: dict[str, Any] = {"variants": ["half"], "timing__rounds": 1, "timing__tokens": 2, "timing__batch_size": 2}
STEPS = 1


def through(name: str, root: Path) -> dict[str, str]:
    """What each stage says of this architecture, in the order of the stages."""
    release(root / "data/release")
    source = architectures.write(root / "model", name)
    found: dict[str, str] = {}
    for stage in STAGES:
        found[stage] = _said(root, stage, str(source))
        if stage == "start" and found[stage] != OK:
            return found
    return found


def release(folder: Path) -> None:
    """Planted pairs, and what the other methods read of them: single answers and prompts."""
    rows = releases.planted(COUNTS)
    releases.write(folder, rows)
    releases.add_unpaired(folder, releases.examples(rows))
    releases.add_prompts(folder, rows)


def _said(root: Path, stage: str, source: str) -> str:
    """`ok`, or the line with which the stage refuses."""
    try:
        run(root, "train" if stage in ("dpo", "kto", "ppo") else stage, parameters(stage, source))
    except UserError as error:
        return str(error)
    except Exception as error:  # a table with a fault in one cell is worth more than none
        return f"FAULT {type(error).__name__}: {str(error).splitlines()[0]}"
    return OK


def parameters(stage: str, source: str) -> Any:
    """The stage's own parameters, made small."""
    if stage == "start":
        return tiny("start", model__source=source, max_length=architectures.WINDOW, schedule__max_steps=STEPS)
    if stage == "reward":
        return tiny("reward", schedule__max_steps=STEPS)
    if stage == "evaluate":
        return tiny("evaluate", **EVALUATED, **{f"generations__{key}": value for key, value in WRITTEN.items()})
    if stage == "compress":
        return tiny("compress", **COMPRESSED, **{f"generation__{key}": value for key, value in WRITTEN.items()})
    own = PPO if stage == "ppo" else {}
    return tiny("train", method=stage, **{f"{stage}__{key}": value for key, value in ({"schedule__max_steps": STEPS} | own).items()})


def templates() -> Iterator[tuple[str, str, str]]:
    """Each template's name, `ok` or why it is refused, and what was repaired in it."""
    wanted = ChatTemplate(file="", system="fold", enable_thinking=None)
    for name, text in chat_templates.everything().items():
        made = chat_templates.tokenizer(text)
        try:
            told = template_repairs.fit(made, wanted, name)
            tokenizers.check(made, name)
        except UserError as error:
            yield name, str(error), ""
        else:
            yield name, OK, "; ".join(told)


def main(names: Sequence[str]) -> int:
    """Print both tables; 1 where a stage refuses an architecture."""
    warnings.simplefilter("ignore")
    rows = []
    for name in names or architectures.ARCHITECTURES:
        with tempfile.TemporaryDirectory(prefix="pairwright-architecture-") as scratch:
            rows.append((name, through(name, Path(scratch))))
    lines = [("architecture", *STAGES), ("---",) * (len(STAGES) + 1), *((name, *found.values()) for name, found in rows)]
    lines += [("",), ("template", "trains", "repaired"), ("---",) * 3, *templates()]
    sys.stdout.write("\n".join(f"| {' | '.join(line)} |" if line[0] else "" for line in lines) + "\n")
    return int(any(said != OK for _, found in rows for said in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Tiny models that are held against each other, and a toy project whose models are: its stages train, compare and promote in a second."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tasks.common import champion as names
from tests.builders import releases, toys, training, versions
from trainer.models import model_io, saving, training_context
from trainer.promotion import facts

COUNTS = {"train": 96, "validation": 8, "test": 40}
NAME = "model@v1.0.0"


def trained(root: Path) -> Path:
    """A planted release, a start and a policy that learned it, below `root`; the policy is the new model."""
    releases.write(root / "data/release", releases.planted(COUNTS, noise=0.0))
    training.run(root, "start", training.tiny("start", threads=1))
    (root / "data/models/reward").mkdir()
    training.run(root, "train", training.tiny("train", dpo__schedule__max_steps=40, dpo__schedule__learning_rate=0.005))
    for name in ("erased", names.CHAMPION):
        (root / "data" / name).mkdir()
    shutil.copytree(root / "data/models/policy", root / "data/models/candidate")
    return root


def crown(root: Path, model: Path, start: Path | None = None, **other: str) -> Path:
    """Let a model be the champion, as a run records it; the folder."""
    folder = root / "data" / names.CHAMPION
    shutil.rmtree(folder)
    shutil.copytree(model, folder / names.MODEL)
    shutil.copytree(start or root / "data/models/start", folder / names.START)
    known = facts.of(training_context.of(model), folder / names.MODEL, folder / names.START, root / "data/release", root / "data/erased")
    (folder / names.RECORD).write_text(json.dumps({**known, "name": NAME, **other}))
    return folder


def changed(model: Path, folder: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a model whose weights were changed."""
    read, tokenizer = model_io.load(str(model))
    change(read)
    folder.mkdir(parents=True)
    saving.save(read, tokenizer, folder)
    shutil.copy(model / training_context.NAME, folder)
    return folder


STAGE = '''
"""Stages that stand for those that train: a model is one line, how good it is stands in the parameters."""
import json, shutil, sys
from pathlib import Path
import yaml
name, entry = sys.argv[1], yaml.safe_load(Path("dvc.yaml").read_text())["stages"][sys.argv[1]]
params = yaml.safe_load(Path("params.yaml").read_text())[name]
output = Path(next(iter(entry["outs"][0])))
deps = {Path(dep).name: Path(dep) for dep in entry["deps"]}
shutil.rmtree(output, ignore_errors=True)
output.mkdir(parents=True)
if name == "begin":
    (output / "weights").write_text(f"start of {params['seed']} " + (deps["release"] / "text.txt").read_text())
if name == "compress":
    (output / "weights").write_text(f"model {params['score']} " + (deps["start"] / "weights").read_text())
    (output / "metrics.json").write_text(json.dumps({"score": params["score"]}))
if name == "compare":
    mine, record = (deps["candidate"] / "weights").read_text(), deps["champion"] / "champion.json"
    theirs = (deps["champion"] / "model" / "weights").read_text() if record.is_file() else ""
    told = {"outcome": "measured" if theirs else "first", "why": "" if theirs else "no model before it", "challenger": {
        "digest": mine, "start": "", "source": "", "release": "0123456789", "salt": "", "erased": ""}}
    told |= {"outcome": "same"} if mine == theirs else {}
    told["better"] = not theirs or int(mine.split()[1]) > int(theirs.split()[1])
    (output / "comparison.json").write_text(json.dumps(told))
if name == "promote":
    told = json.loads((deps["comparison"] / "comparison.json").read_text())
    new = told["better"] or told["outcome"] == "same"
    shutil.copytree(deps["candidate"] if new else deps["champion"] / "model", output, dirs_exist_ok=True)
    reports = Path(entry["meta"]["reports"])
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "verdict.json").write_text(json.dumps({"phrase": "promoted" if told["better"] else "kept model@v1.0.0: worse"}))
'''
READ = {
    "begin": ["data/release"],
    "compress": ["data/models/start"],
    "compare": ["data/release", "data/models/start", "data/models/candidate", "data/champion"],
    "promote": ["data/comparison", "data/models/candidate", "data/champion"],
}
MADE = {"begin": "data/models/start", "compress": "data/models/candidate", "compare": "data/comparison", "promote": "data/models/final"}


def project(folder: Path, score: int = 1) -> Path:
    """A toy project whose dataset is built and whose models are not; its first model will score so much."""
    root = toys.make(folder / "toy")
    (root / "trainer" / "__main__.py").write_text(STAGE)
    (root / "data/champion").mkdir()
    (root / "data/champion/README.md").write_text("The model to beat.")
    ignored = "!/data/champion/\n/data/champion/model/\n/data/champion/start/\n"
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + ignored)
    path = toys.path_of(root)
    stages = {name: path["stages"][name] for name in ("first", "second")}
    stages["second"]["outs"] = [{"data/release": {"persist": True}}]
    path["artifacts"] = {"dataset": {"path": "data/release"}, "model": {"path": MADE["promote"]}}
    path["metrics"] = [f"{MADE['promote']}/metrics.json"]
    toys.set_path(root, path | {"stages": stages | {name: _stage(name) for name in READ}})
    document = versions.params(root)
    del document["train"]
    document |= {"begin": {"seed": 1}, "compress": {"score": score}, "compare": {"none": 0}, "promote": {"none": 0}}
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    for name in READ:
        (root / "trainer" / f"{name}.py").write_text(toys.MODEL.replace("    wait: float | int\n    fate: str\n", "    pass\n"))
    for key, value in (("retries", 1), ("retry_seconds", 0)):
        toys.set_param(root, "runs", key, value)
    versions.build(root, 3)
    return root


def _stage(name: str) -> dict[str, Any]:
    made = {"desc": name, "cmd": f"python -m trainer {name}", "deps": [*READ[name], "trainer"], "params": [name]}
    return made | {"outs": [{MADE[name]: {"persist": True}}], "meta": {"reports": f"data/reports/{name}"}}

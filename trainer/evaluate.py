"""evaluate: how many held-out preferences the policy gets right, counted pair by pair beside the reference.

Reads `data/release` (splits validation and test), the starting model and the policy; writes `metrics.json` (flat) and `report.json`
(with recipes, sources and languages apart).

Two definitions of "right", each with the reference's own figure:
- `implicit`: DPO's reward, log p_policy - log p_reference, is higher for the chosen answer. It asks what was learned from
  preferences alone. By definition the reference ties on every pair: 0.5.
- `likelihood`: log p of the whole chosen answer is higher. It asks which answer the model would rather write. Sums favour short
  answers in both models alike; `per_token` divides by the number of tokens.
A tie counts one half. The policy is better only if both the implicit reward beats a coin (exact sign test) and the policy's
likelihood beats the reference's on the same pairs (exact McNemar test). Both tests speak of the choice of held-out pairs, not of
the luck of a training run: one run on shuffled labels may lean either way, so judge that control by its mean over several seeds.

    python -m trainer evaluate
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.core import manifest
from tasks.core.catalog import Stage
from tasks.core.params import StageParams
from tasks.core.shell import tell

if TYPE_CHECKING:
    from trainer.core.encode import Encoded, Encoding

SPLITS = ("validation", "test")
STRATA = ("recipe", "source", "language")


class Params(StageParams):
    """Section `evaluate` of `params.yaml`."""

    threads: int = Field(ge=1)  # part of the result, as in `train`
    batch: int = Field(ge=1)  # pairs scored at once
    significance: float = Field(gt=0, lt=1)  # p-value below which a difference is called one


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Score both splits under both models, count, write, and say the outcome."""
    scored = _score(stage.input("release"), stage.input("start"), stage.input("policy"), params)
    report = {split: {**_split(*scored[split], params.significance)} for split in SPLITS}
    (folder / "report.json").write_bytes(manifest.dumps(report))
    (folder / "metrics.json").write_bytes(manifest.dumps(_flat(report)))
    for line in _lines(report):
        tell(stage.name, line.rstrip())


def _score(given: Path, start: Path, trained: Path, params: Params) -> dict[str, tuple[Encoding, np.ndarray, np.ndarray]]:
    """For each split the pairs that fit, and both models' log-probabilities: an array of (chosen, rejected) x pairs."""
    from trainer.core import basis, encode, models, release, runtime, scoring

    window = basis.read(trained, given).window
    runtime.prepare(params.threads, 0, offline=True)
    reference, tokenizer = models.load(str(start))
    encodings = {split: encode.encode(release.pairs(given, split), tokenizer, window) for split in SPLITS}
    encode.demanded("test", release.pairs(given, "test"), tokenizer, window)
    policy, _ = models.load(str(trained))
    both = []
    for judge in (policy, reference):
        results = [scoring.score(judge, encodings[split].kept, tokenizer.pad_token_id, params.batch) for split in SPLITS]
        both.append([np.stack([scores.chosen, scores.rejected]) for scores in results])
    return {split: (encodings[split], both[0][at], both[1][at]) for at, split in enumerate(SPLITS)}


def _split(encoding: Encoding, policy: np.ndarray, reference: np.ndarray, significance: float) -> dict[str, Any]:
    """All figures of one split."""
    from trainer.core import statistics

    judged = judgements(encoding.kept, policy, reference)
    figures: dict[str, Any] = {name: statistics.share(credit) for name, credit in judged.items()}
    implicit = judged["implicit"]
    figures["ties"] = int((implicit == 0.5).sum())
    figures["left_out"] = encoding.reasons
    figures["p_implicit"] = statistics.sign_test(int((implicit == 1).sum()), int((implicit == 0).sum()))
    figures["p_likelihood"] = statistics.mcnemar(judged["likelihood"], judged["reference_likelihood"])
    figures["better"] = _better(figures, significance)
    for stratum in STRATA:
        places = statistics.groups(getattr(row.pair, stratum) for row in encoding.kept)
        figures[stratum] = {name: {judge: statistics.share(credit[at]) for judge, credit in judged.items()} for name, at in places.items()}
    return figures


def judgements(pairs: list[Encoded], policy: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Credit for every pair by every definition, for policy and reference."""
    from trainer.core import statistics

    lengths = np.array([[len(row.chosen) for row in pairs], [len(row.rejected) for row in pairs]], dtype=np.float64).reshape(2, -1)
    scores = {
        "implicit": policy - reference,
        "likelihood": policy,
        "per_token": policy / lengths,
        "reference_implicit": reference - reference,
        "reference_likelihood": reference,
        "reference_per_token": reference / lengths,
    }
    return {name: statistics.marks(chosen - rejected) for name, (chosen, rejected) in scores.items()}


def _better(figures: dict[str, Any], significance: float) -> bool:
    """Whether the policy is significantly better than the reference by both definitions."""
    learned = figures["implicit"]["accuracy"] > 0.5 and figures["p_implicit"] < significance
    gained = figures["likelihood"]["accuracy"] > figures["reference_likelihood"]["accuracy"]
    return bool(learned and gained and figures["p_likelihood"] < significance)


def _flat(report: dict[str, Any]) -> dict[str, float | int]:
    """The figures that `dvc metrics show` prints."""
    flat: dict[str, float | int] = {}
    for split, figures in report.items():
        flat[f"{split}_pairs"] = figures["implicit"]["n"]
        flat[f"{split}_left_out"] = sum(figures["left_out"].values())
        flat[f"{split}_accuracy"] = figures["implicit"]["accuracy"]
        flat[f"{split}_accuracy_low"] = figures["implicit"]["low"]
        flat[f"{split}_accuracy_high"] = figures["implicit"]["high"]
        for name in ("likelihood", "per_token"):
            flat[f"{split}_{name}_policy"] = figures[name]["accuracy"]
            flat[f"{split}_{name}_reference"] = figures[f"reference_{name}"]["accuracy"]
        flat[f"{split}_p_implicit"] = float(f"{figures['p_implicit']:.4g}")
        flat[f"{split}_p_likelihood"] = float(f"{figures['p_likelihood']:.4g}")
        flat[f"{split}_better"] = int(figures["better"])
    return flat


def _lines(report: dict[str, Any]) -> list[str]:
    """The table of the log and the outcome in words."""
    lines = [f"{'':36}{'pairs':>7}{'policy':>9}{'95 % interval':>18}{'reference':>11}"]
    for split, figures in report.items():
        lines += [
            _line(f"{split}, {name}", figures[name], figures[f"reference_{name}"]) for name in ("implicit", "likelihood", "per_token")
        ]
    for stratum in STRATA:
        for name, judged in report["test"][stratum].items():
            lines.append(_line(f"test, {stratum} {name}, implicit", judged["implicit"], judged["reference_implicit"]))
    test = report["test"]
    verdict = "significantly better than" if test["better"] else "not significantly better than"
    lines.append(
        f"on test the policy is {verdict} the reference (p {test['p_implicit']:.2g} implicit, {test['p_likelihood']:.2g} likelihood)"
    )
    return lines


def _line(name: str, policy: dict[str, float], reference: dict[str, float]) -> str:
    interval = f"{policy['low']:.3f} to {policy['high']:.3f}"
    return f"{name:<36}{policy['n']:>7}{policy['accuracy']:>9.3f}{interval:>18}{reference['accuracy']:>11.3f}"

"""The figures of an evaluation for `dvc metrics`, flat; and the lines of its log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.common.vocabulary.splits import HELD_OUT
from trainer.evaluation.generations import CAVEAT
from trainer.evaluation.preference_accuracy import STRATA
from trainer.evaluation.quality import WRITERS

Report = Mapping[str, Any]
WRITTEN = ("characters", "empty", "unfinished", "circling", "again", "not_text", "distinct_2", "distinct_3", "compression", "surprise")
CONTROLLED = {"implicit": "policy", "reward": "reward", "longer": "longer", "tfidf": "tfidf"}  # the judge: its name in the metrics


def metrics(report: Report) -> dict[str, float | int]:
    """Numbers only; what could not be counted is left out."""
    found: dict[str, float | int | None] = {}
    for split in HELD_OUT:
        found |= {f"{split}_{name}": value for name, value in _split(report[split]).items()}
    test = report["test"]
    for name in ("longer", "tfidf"):
        found[f"baseline_{name}_accuracy"] = test[name]["accuracy"]
        found[f"baseline_{name}_p"] = _short(test["against"][name]["p"])
    for judge, name in CONTROLLED.items():
        found[f"controlled_{name}_balanced"] = test["lengths"][judge]["balanced"]["accuracy"]
        found[f"controlled_{name}_equal_length"] = test["lengths"][judge]["equal_length"]["accuracy"]
    found |= {f"control_{name}": value for name, value in report["control"].items() if isinstance(value, int | float)}
    found |= _reward(report["calibration"]) | _wins(report["generations"])
    found |= {"test_better": int(report["verdict"]["better"]), "writing_faults": len(report["verdict"]["faults"])}
    return {name: value for name, value in found.items() if value is not None}


def _split(figures: Report) -> dict[str, float | int | None]:
    """One split's own, without its name before them."""
    implicit, reward = figures["implicit"], figures["reward"]
    flat: dict[str, float | int | None] = {
        "pairs": implicit["n"],
        "left_out": sum(figures["left_out"].values()),
        "groups": figures["groups"],
        "accuracy": implicit["accuracy"],
    }
    flat |= {f"accuracy_{name}": implicit[name] for name in ("low", "high", "group_low", "group_high")}
    for name in ("likelihood", "per_token"):
        flat[f"{name}_policy"] = figures[name]["accuracy"]
        flat[f"{name}_reference"] = figures[f"reference_{name}"]["accuracy"]
    flat |= {"reward_accuracy": reward["accuracy"], "reward_accuracy_low": reward["low"], "reward_accuracy_high": reward["high"]}
    return flat | {
        "p_implicit": _short(figures["p_implicit"]),
        "p_likelihood": _short(figures["p_likelihood"]),
        "prefers_better": int(figures["better"]),
    }


def _reward(calibration: Report) -> dict[str, float | int | None]:
    test, tempered = calibration["test"], calibration["test_tempered"]
    flat = {f"reward_{name}": test[name] for name in ("ece", "brier", "log_loss")}
    return flat | {"reward_temperature": calibration["temperature"], "reward_ece_tempered": tempered["ece"]}


def _wins(generations: Report) -> dict[str, float | int | None]:
    if not generations["prompts"]:
        return {"generated_prompts": 0}
    wins, controlled = generations["wins"], generations["controlled"]
    flat = {"prompts": generations["prompts"], "win_rate": wins["accuracy"], "win_rate_low": wins["low"], "win_rate_high": wins["high"]}
    flat |= {"win_rate_balanced": controlled["balanced"]["accuracy"], "win_rate_equal_length": controlled["equal_length"]["accuracy"]}
    for writer in WRITERS:
        flat |= {f"{name}_{writer}": generations[writer][name] for name in WRITTEN}
    flat |= {f"length_ratio_{writer}": ratio for writer, ratio in generations["length_ratio"].items()}
    return {f"generated_{name}": value for name, value in flat.items()}


def _short(p: float) -> float:
    return float(f"{p:.4g}")


def lines(report: Report) -> Iterator[str]:
    """The table of the log, and the outcome in words."""
    yield f"{'':36}{'pairs':>7}{'right':>9}{'95 % interval':>18}{'over groups':>18}{'reference':>11}"
    for split in HELD_OUT:
        figures = report[split]
        for name in ("implicit", "likelihood", "per_token"):
            yield _line(f"{split}, {name}", figures[name], figures[f"reference_{name}"])
        for name in ("reward", "longer", "tfidf"):
            yield _line(f"{split}, {NAMES[name]}", figures[name])
    for stratum in STRATA:
        for value, judged in report["test"][stratum].items():
            yield _line(f"test, {stratum} {value or '(none)'}, implicit", judged["implicit"])
    yield beside(report["test"])
    yield lengths(report["test"])
    yield calibration(report["calibration"])
    yield from wins(report["generations"])
    yield control(report["control"])
    yield from writing(report["generations"])
    yield report["verdict"]["sentence"]


WRITING = {  # a figure of what is written: its head in the table
    "characters": "characters",
    "unfinished": "never end",
    "circling": "go round",
    "again": "phrases again",
    "empty": "empty",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "compression": "compression",
    "surprise": "surprise",
}
NAMES = {"reward": "reward model", "longer": "the longer wins", "tfidf": "TF-IDF Bradley-Terry"}


def _line(name: str, judge: Mapping[str, float], reference: Mapping[str, float] | None = None) -> str:
    first, second = (f"{judge[low]:.3f} to {judge[high]:.3f}" for low, high in (("low", "high"), ("group_low", "group_high")))
    beside = f"{reference['accuracy']:>11.3f}" if reference else ""
    return f"{name:<36}{judge['n']:>7}{judge['accuracy']:>9.3f}{first:>18}{second:>18}{beside}"


def beside(test: Report) -> str:
    """How the policy stands to the baselines, in one line."""
    listed = ", ".join(
        f"{NAMES[name]} {test[name]['accuracy']:.3f} (policy {one['policy']}, p {one['p']:.2g})" for name, one in test["against"].items()
    )
    return f"policy {test['implicit']['accuracy']:.3f} (implicit) beside the baselines on the same test pairs: {listed}"


def lengths(test: Report) -> str:
    """The accuracies without the hint of length, in one line."""
    listed = ", ".join(f"{name} {share(test['lengths'][judge]['balanced']['accuracy'])}" for judge, name in CONTROLLED.items())
    return f"where longer and shorter chosen answers count one half each (test): {listed}"


def calibration(figures: Report) -> str:
    """How far the reward model is as sure as it is right, in one line."""
    test, tempered = figures["test"], figures["test_tempered"]
    return (
        f"reward model (test): sure {test['confidence']:.3f}, right {test['accuracy']:.3f}; calibration error {test['ece']:.3f}, "
        f"{tempered['ece']:.3f} at temperature {figures['temperature']:.2f} (fitted on validation); Brier {test['brier']:.3f}"
    )


def wins(figures: Report) -> Iterator[str]:
    """What the reward model says of the generations, in two lines: the count, and what it is worth."""
    if not figures["prompts"]:
        yield f"generations: none ({figures['why_not']})"
        return
    rate, even = figures["wins"], figures["controlled"]["balanced"]["accuracy"]
    yield (
        f"generations: the reward model prefers the policy's answer for {share(rate['accuracy'])} of {rate['n']} prompts "
        f"({rate['low']:.3f} to {rate['high']:.3f}); with length evened out {share(even)}"
    )
    yield f"caution: {CAVEAT}"


def writing(figures: Report) -> Iterator[str]:
    """What was written, a line each for policy, reference and chosen answers; nothing where nothing was."""
    if not figures["prompts"]:
        return
    yield f"{'written, of ' + str(figures['prompts']):<20}" + "".join(f"{head:>{len(head) + 3}}" for head in WRITING.values())
    for writer in WRITERS:
        cells = (f"{figures[writer][name]:>{len(head) + 3}{'.0f' if name == 'characters' else '.2f'}}" for name, head in WRITING.items())
        yield f"{writer:<20}" + "".join(cells)


def control(figures: Report) -> str:
    """The control on shuffled labels in one line."""
    if not figures["seeds"]:
        return f"control on shuffled labels: not run ({figures['why_not']})"
    between = f" ({figures['low']:.3f} to {figures['high']:.3f})" if "low" in figures else ""
    return (
        f"control on shuffled labels: mean accuracy {figures['mean']:.3f}{between} over {figures['seeds']} seeds, "
        f"single runs {figures['lowest']:.3f} to {figures['highest']:.3f}"
    )


def share(value: float | None) -> str:
    """A share, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"

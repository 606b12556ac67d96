"""The checks: each trains by the project's own stages, holds the outcome against a claim, and gives one result.

A check that raises has failed, with the reason as its note; the others go on.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trainer.gpu_check import bare, settings
from trainer.gpu_check.bare import Bare
from trainer.gpu_check.project import START, Project, Training, difference
from trainer.gpu_check.settings import Size
from trainer.gpu_check.table import Cost, Result, beside

SINGLE, HALF = "float32", "bfloat16"
Claim = tuple[bool, str]  # whether it holds, and what was seen
STARTED = "the supervised start"
RESUMED = (("start", "", HALF), ("reward", "", HALF), ("train", "dpo", SINGLE), ("train", "dpo", HALF), ("train", "ppo", HALF))


class Bench:
    """A folder in which every check of one model runs."""

    def __init__(self, folder: Path, size: Size, device: str) -> None:
        self.folder, self.size, self.device = folder, size, device
        self.projects: dict[str, Project] = {}
        self.trained: dict[tuple[str, str], Training] = {}  # by what was trained, and the precision

    def result(self, check: str, how: str, work: Callable[[], Result]) -> Result:
        """The result of a check; a failure where it raises."""
        try:
            found = work()
        except Exception as error:  # whatever goes wrong on a machine that nobody has seen is what is looked for
            too_large = type(error).__name__ == "OutOfMemoryError"
            return Result(check, self.size.name, how, None if too_large else False, _reason(error))
        return replace(found, check=check, model=self.size.name, how=how)

    def project(self, precision: str) -> Project:
        """The project of a precision, whose start has been made."""
        if precision not in self.projects:
            raise RuntimeError(f"{STARTED} in {precision} failed")
        return self.projects[precision]

    # --- training, in itself and beside a bare loop ---

    def start(self, precision: str) -> Result:
        """The supervised start; all later checks stand on it."""
        made = Project(self.folder / f"{self.size.name}-{precision}", self.size, settings.precision(precision))
        done = made.run("start")
        self.projects[precision] = made
        self.trained["start", precision] = done
        return self.held(done, [falls(done.of("loss"))], precision, bare.supervised(made, self.device))

    def reward(self, precision: str) -> Result:
        """The reward model."""
        made = self.project(precision)
        done = self.trained["reward", precision] = made.run("reward")
        return self.held(done, [falls(done.of("loss"))], precision, bare.reward(made, self.device))

    def dpo(self, precision: str, rank: int = 0, wide: bool = False) -> Result:
        """Direct preference optimisation of all weights, or of an adapter."""
        values = (settings.adapter(rank) if rank else {}) | (settings.wide() if wide else {})
        made = self.project(precision).beside(f"dpo-{rank}{'-wide' if wide else ''}", settings.method("dpo"), values)
        done = made.run("train")
        self.trained["dpo, LoRA" if rank else "dpo, wide" if wide else "dpo", precision] = done
        claims = [starts_equal(done.of("margin"), made.params["train"]["dpo"]["beta"], precision), rises(done.of("margin"))]
        return self.held(done, claims, precision, bare.dpo(made, self.device, rank), timed=wide)

    def recompute(self, precision: str) -> Result:
        """Activations computed again on the way back: the same losses in less memory."""
        plain = self.trained["dpo", precision]
        done = self.project(precision).beside("recompute", settings.method("dpo"), settings.recompute()).run("train")
        less = done.cost.peak < plain.cost.peak or not plain.cost.peak
        claims = [follows(done.of("loss"), plain.of("loss"), precision, "those without it"), (less, "" if less else "no less memory")]
        return self.held(done, claims, precision)

    def kto(self, precision: str) -> Result:
        """Kahneman-Tversky optimisation."""
        made = self.project(precision).beside("kto", settings.method("kto"))
        done = self.trained["kto", precision] = made.run("train")
        return self.held(done, [finite(done)], precision)

    def ppo(self, precision: str, rank: int = 0) -> Result:
        """Proximal policy optimisation against the reward model."""
        values = settings.adapter(rank) if rank else {}
        made = self.project(precision).beside(f"ppo-{rank}", settings.method("ppo"), values)
        done = made.run("train")
        self.trained["ppo, LoRA" if rank else "ppo", precision] = done
        first = abs(done.of("kl")[0])
        near = (first <= settings.FIRST[precision], f"first KL {first:.2g}")
        return self.held(done, [finite(done), near], precision)

    def four_bit(self) -> Result:
        """QLoRA: an adapter beside weights of four bits, by DPO."""
        if importlib.util.find_spec(settings.FOUR_BIT) is None:
            return Result("", "", "", None, f"{settings.FOUR_BIT} is not installed")
        whole = self.project(HALF)
        made = whole.beside("four-bit", settings.method("dpo"), settings.adapter(), without=("start",))
        quantize(whole.root / START, made.root / START)
        done = made.run("train")
        return self.held(done, [rises(done.of("margin"))], HALF)

    def held(
        self, done: Training, claims: Sequence[Claim], precision: str, beside_it: Bare | None = None, *, timed: bool = False
    ) -> Result:
        """A training held against claims, and where there is one against a bare loop; with `timed`, against the limit of time as well."""
        found = [*claims]
        if beside_it:
            found.append(follows(done.of("loss"), beside_it.losses, precision, "the bare loop"))
            found += self._cheap(done.cost, beside_it.cost, timed or precision == SINGLE)
        note = "; ".join(word for _, word in found if word)
        return Result("", "", "", all(holds for holds, _ in found), note, done.cost, beside_it.cost if beside_it else None)

    def _cheap(self, cost: Cost, plain: Cost, timed: bool) -> Iterator[Claim]:
        limits = (settings.TIMES_BARE if timed else math.inf, settings.MEMORY_BARE)
        for what, value, limit in zip(("step time", "memory"), beside(cost, plain), limits, strict=True):
            if self.size.limited and value is not None and value > limit:
                yield False, f"{what} beyond x{limit:.2f}"

    # --- the same again ---

    def again(self, precision: str) -> Result:
        """The same training twice gives the same bytes."""
        made = self.project(precision)
        runs = [made.beside(f"again-{number}", settings.method("dpo")).run("train").weights() for number in (1, 2)]
        return Result("", "", "", *same(difference(*runs), 0.0))

    def near_single(self) -> Result:
        """What was trained in bfloat16 was computed in it, and learned what it learns in single precision."""
        kinds = [kind for kind, precision in self.trained if precision == HALF and (kind, SINGLE) in self.trained]
        claims = [halved(kind, self.trained[kind, HALF].of("loss"), self.trained[kind, SINGLE].of("loss")) for kind in kinds]
        return Result("", "", "", all(holds for holds, _ in claims), "; ".join(word for _, word in claims))

    def resumed(self, name: str, method: str, precision: str) -> Result:
        """A run that is killed and begun again ends as an unbroken one."""
        own = [settings.method(method)] if name == "train" else []
        values: list[Mapping[str, object]] = [settings.precision(precision), settings.checkpoints(), *own]
        base = self.project(precision)
        whole, broken = (base.beside(f"{kind}-{name}-{method}", *values, without=(_output(name),)) for kind in ("whole", "broken"))
        expected = whole.run(name).weights()
        saved = broken.killed(name)
        found = broken.run(name).weights()
        passed, note = same(difference(expected, found), settings.RESUMED)
        if "goes on after step" not in (broken.root / "log.txt").read_text(encoding="utf-8"):
            return Result("", "", "", False, "began anew")
        return Result("", "", "", passed, f"{note}; {saved} checkpoint{'s' * (saved != 1)} at the kill")

    def together(self, precision: str) -> Result:
        """Two processes on a GPU each train what one does."""
        import torch

        there = torch.cuda.device_count()
        if there < 2:
            return Result("", "", "", None, f"{there} GPU here, two are needed")
        base = self.project(precision)
        half = settings.half_share()
        one = base.beside("one", settings.method("dpo"), half).run("train")
        two = base.beside("two", settings.method("dpo"), half).together("train", 2)
        away = difference(one.weights(), two.weights())
        return Result("", "", "", away <= settings.SHARED, f"weights differ by at most {away:.2g}", two.cost, one.cost)


def run(folder: Path, sizes: Sequence[Size], device: str) -> Iterator[Result]:
    """All checks, one after another."""
    for size in sizes:
        bench = Bench(folder, size, device)
        for check, how, work in _large(bench) if size.limited else _small(bench):
            yield bench.result(check, how, work)
        for left in folder.iterdir():
            shutil.rmtree(left)


def _small(bench: Bench) -> Iterator[tuple[str, str, Callable[[], Result]]]:
    """What a small model can show: every method in both precisions, and that a run can be repeated and resumed."""
    for how in (SINGLE, HALF):
        yield "start", how, partial(bench.start, how)
        yield "reward", how, partial(bench.reward, how)
        yield "dpo", how, partial(bench.dpo, how)
        yield "dpo", f"{how}, LoRA", partial(bench.dpo, how, settings.RANK)
        yield "kto", how, partial(bench.kto, how)
        yield "ppo", how, partial(bench.ppo, how)
        yield "ppo", f"{how}, LoRA", partial(bench.ppo, how, settings.RANK)
    yield "dpo", "4 bit, LoRA", bench.four_bit
    yield "precision", "bfloat16 beside float32", bench.near_single
    for how in (SINGLE, HALF):
        yield "repeated", how, partial(bench.again, how)
    for name, method, how in RESUMED:
        yield "resumed", f"{method or name}, {how}", partial(bench.resumed, name, method, how)
    yield "two processes", SINGLE, partial(bench.together, SINGLE)


def _large(bench: Bench) -> Iterator[tuple[str, str, Callable[[], Result]]]:
    """What a large one shows: what a step costs."""
    for how in (SINGLE, HALF):
        yield "start", how, partial(bench.start, how)
        yield "reward", how, partial(bench.reward, how)
        yield "dpo", how, partial(bench.dpo, how)
    yield "dpo", f"{HALF}, LoRA", partial(bench.dpo, HALF, settings.RANK)
    yield "dpo", f"{HALF}, LoRA, {4 * settings.BATCH} pairs", partial(bench.dpo, HALF, settings.RANK, True)
    yield "dpo", f"{HALF}, {4 * settings.BATCH} pairs", partial(bench.dpo, HALF, 0, True)
    yield "dpo", "4 bit, LoRA", bench.four_bit
    yield "dpo", f"{HALF}, recompute", partial(bench.recompute, HALF)
    yield "kto", HALF, lambda: bench.kto(HALF)
    yield "ppo", f"{HALF}, LoRA", partial(bench.ppo, HALF, settings.RANK)
    yield "precision", "bfloat16 beside float32", bench.near_single


# --- claims ---


def falls(losses: Sequence[float]) -> Claim:
    """The loss is a number at every step, and lower at the end than at the beginning."""
    return _moves([-loss for loss in losses]), f"loss {losses[0]:.4f} to {losses[-1]:.4f}"


def rises(margins: Sequence[float]) -> Claim:
    """The margin between chosen and rejected answers is a number at every step, and grows."""
    return _moves(margins), f"margin to {margins[-1]:.2g}"


def _moves(values: Sequence[float]) -> bool:
    """Whether the last quarter lies above the first."""
    few = max(1, len(values) // 4)
    return all(map(math.isfinite, values)) and sum(values[-few:]) > sum(values[:few])


def finite(done: Training) -> Claim:
    """Every figure of every step is a number."""
    wrong = sorted({name for step in done.steps for name, value in step.items() if isinstance(value, float) and not math.isfinite(value)})
    return not wrong, f"no number: {', '.join(wrong)}" if wrong else f"loss {done.of('loss')[0]:.4f} to {done.of('loss')[-1]:.4f}"


def starts_equal(margins: Sequence[float], beta: float, precision: str) -> Claim:
    """Before the first step the policy is the reference, so no answer has a margin yet."""
    first = abs(margins[0]) / beta
    return first <= settings.FIRST[precision], f"first margin {first:.2g} nats"


def follows(losses: Sequence[float], others: Sequence[float], precision: str, what: str) -> Claim:
    """The losses are those of another training, step by step."""
    if len(losses) != len(others):
        return False, f"{len(losses)} steps, {len(others)} in {what}"
    away = max(abs(one - other) for one, other in zip(losses, others, strict=True)) / abs(others[0])
    return away <= settings.CURVE[precision], f"losses within {away:.1e} of {what}"


def halved(kind: str, half: Sequence[float], single: Sequence[float]) -> Claim:
    """The losses in bfloat16 differ from those in single precision, but by little in the end; PPO goes on from other answers."""
    if list(half) == list(single):
        return False, f"{kind}: computed in {SINGLE}"
    away = abs(half[-1] - single[-1]) / abs(single[0])
    return away <= settings.PRECISION or kind.startswith("ppo"), f"{kind} {100 * away:.2g} % away"


def same(away: float, most: float) -> Claim:
    """Weights are equal to the bit, or nearly."""
    return away <= most, "bit-equal" if away == 0 else f"weights differ by at most {away:.2g}"


def quantize(folder: Path, into: Path) -> None:
    """The same model with weights of four bits, as bitsandbytes makes it, in a folder that transformers loads."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    given = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModelForCausalLM.from_pretrained(folder, quantization_config=given, dtype=torch.bfloat16, trust_remote_code=False).save_pretrained(
        into
    )


def _output(stage: str) -> str:
    return {"train": "policy"}.get(stage, stage)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]

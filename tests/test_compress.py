"""compress: what is measured is what is handed over, no clock is in it, and the front and the pick are what they say."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import manifest
from tasks.core.errors import UserError
from tests.builders.training import digests, released, run, tiny
from trainer.compression import (
    compression_report,
    degenerate_answers,
    distillation,
    evaluator,
    layer_dropping,
    layers,
    pareto,
    pareto_plot,
    pruning,
    variant_builder,
    variant_names,
)
from trainer.evaluation import verdict
from trainer.models import model_io, packed, training_context

VARIANTS = ["half", "int8", "dynamic", "prune-60", "drop-1", "student-2", "student-2+int8"]
POINTS = st.dictionaries(st.text(min_size=1, max_size=2), st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=8)


def small(**other: object) -> Any:
    """The stage's own parameters, made small."""
    given = {
        "variants": VARIANTS,
        "generation__prompts": 3,
        "generation__max_new_tokens": 8,
        "timing__rounds": 1,
        "timing__tokens": 2,
        "timing__batch_size": 2,
        "budget__accuracy_points": 100.0,
        "budget__error_points": 100.0,
        "budget__plain": False,
    }
    return tiny("compress", **(given | other))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny run of three layers, up to compress."""
    root = tmp_path_factory.mktemp("compressed")
    released(root)
    run(root, "start", tiny("start", model__num_hidden_layers=3))
    (root / "data/models/reward").mkdir()
    run(root, "train")
    (root / "data/evaluation").mkdir()
    (root / "data/evaluation/metrics.json").write_bytes(manifest.dumps({"test_accuracy": 0.75, "validation_accuracy": 0.5}))
    told = {"faults": ["28 % of its answers never end"], "sentence": "on test the policy prefers better, but writes worse"}
    (root / "data/evaluation" / verdict.NAME).write_bytes(manifest.dumps(told))
    run(root, "compress", small())
    return root


@pytest.fixture
def policy(root: Path) -> Any:
    """The policy, fresh from disk."""
    return model_io.load(str(root / "data/models/policy"))[0]


def told(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "data/models/candidate/pareto.json").read_text())
    return document


def ids() -> torch.Tensor:
    return torch.arange(24).reshape(2, 12) * 7 % 300


def test_hands_over_one_whole_variant_and_keeps_no_other(root: Path) -> None:
    final = root / "data/models/candidate"
    names = {path.name for path in final.iterdir()}
    assert {
        "README.md",
        "pareto.json",
        "metrics.json",
        "trained_on.json",
        "tokenizer.json",
        "config.json",
        "generation_config.json",
    } <= names
    assert "variants" not in names
    assert set(told(root)["variants"]) == {"original", *VARIANTS}
    assert all(isinstance(value, (int, float)) for value in json.loads((final / "metrics.json").read_text()).values())


def test_the_smallest_within_the_budget_is_picked_and_loads(root: Path) -> None:
    sizes = {name: one["bytes"] for name, one in told(root)["variants"].items()}
    assert told(root)["pick"] == min(sizes, key=lambda name: sizes[name])
    model, _ = model_io.load(str(root / "data/models/candidate"))
    assert layers.count(model) == 2


def test_the_folder_gives_the_log_probabilities_that_were_measured(root: Path) -> None:
    context = training_context.read(root / "data/models/policy", root / "data/release")
    again = evaluator.Evaluator.read(
        root / "data/release", root / "data/models/start", context.max_length, small().per_device_eval_batch_size, 3, 8, 0.7, context.seed
    )
    figures = again.evaluate(model_io.load(str(root / "data/models/candidate"))[0])
    measured = told(root)["variants"][told(root)["pick"]]
    assert {key: measured[key] for key in figures} == figures


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes_though_its_clock_differs(root: Path) -> None:
    before, latencies = digests(root / "data/models/candidate"), (root / "data/reports/compress/pareto.json").read_bytes()
    run(root, "compress", small(timing__tokens=3))
    after = digests(root / "data/models/candidate")
    assert {name for name in after if after[name] != before[name]} == {"trained_on.json"}, "it alone holds the parameters of the stage"
    assert (root / "data/reports/compress/pareto.json").read_bytes() != latencies


def test_the_times_stand_in_the_reports_only(root: Path) -> None:
    reports = root / "data/reports/compress"
    timed = json.loads((reports / "pareto.json").read_text())
    assert all(one["time"]["ms_low"] <= one["time"]["ms_per_token"] <= one["time"]["ms_high"] for one in timed["variants"].values())
    assert "ms_per_token" not in json.dumps(told(root)["variants"])
    svg = (reports / "pareto.svg").read_text()
    assert all(f"<title>{name}</title>" in svg for name in timed["variants"])


def test_the_hub_reads_the_head_of_the_card(root: Path) -> None:
    from huggingface_hub import ModelCard

    read = ModelCard.load(root / "data/models/candidate/README.md")
    pick = told(root)["variants"][told(root)["pick"]]
    assert read.data.library_name == "pairwright", "a packed variant is not for transformers"
    assert read.data.eval_results[0].metric_value == pick["test"]["accuracy"]
    assert read.data.eval_results[0].dataset_revision == manifest.file_digest(root / "data/release/manifest.json")
    assert "Only Pairwright reads this folder" in read.text
    assert "(a coin: 0.5) | 0.750 |" in read.text
    assert "baseline" not in read.text, "what was not counted is left out"


def test_a_model_that_writes_worse_is_not_recommended(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (root / "data/models/candidate/README.md").read_text()
    assert "> **Not recommended.** It writes worse than it should: 28 % of its answers never end." in text.split("## ")[0]
    assert "On test the policy prefers better, but writes worse." in text
    assert compression_report.advice(verdict.read(root / "data/evaluation"))[0].endswith(
        "is not recommended: 28 % of its answers never end"
    )
    assert compression_report.advice(verdict.read(tmp_path)) == [] == compression_report.advice({"faults": []})


def test_the_card_tells_the_parameters_that_made_the_model(root: Path) -> None:
    text = (root / "data/models/candidate/README.md").read_text()
    config = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    params = json.loads((root / "data/models/policy/trained_on.json").read_text())["params"]
    assert config["train"] == {name: params[name] for name in ("method", "dpo", "adapter")}
    assert config["start"]["model"]["num_hidden_layers"] == 3


@pytest.mark.parametrize(
    ("storage", "off", "most"), [("float32", 0.0, 1.01), ("half", 1e-3, 0.6), ("int8", 0.02, 0.4), ("dynamic", 0.06, 0.4)]
)
def test_a_storage_gives_nearly_the_same_model_in_fewer_bytes(
    root: Path, tmp_path: Path, policy: Any, storage: str, off: float, most: float
) -> None:
    _, tokenizer = model_io.load(str(root / "data/models/policy"))
    packed.save(policy, tokenizer, tmp_path / "it", storage)
    again, _ = model_io.load(str(tmp_path / "it"))
    with torch.no_grad():
        first, second = policy(ids()).logits, again(ids()).logits
    assert (second - first).norm() <= off * first.norm()
    weights = sum(path.stat().st_size for path in (tmp_path / "it").glob("*.safetensors"))
    assert weights <= most * (root / "data/models/policy/model.safetensors").stat().st_size


def test_leaving_zeros_out_loses_nothing_and_saves_their_room(root: Path, tmp_path: Path, policy: Any) -> None:
    _, tokenizer = model_io.load(str(root / "data/models/policy"))
    pruning.prune(policy, 60)
    zeros = {name: float((weight == 0).float().mean()) for name, weight in policy.named_parameters() if "proj" in name}
    assert min(zeros.values()) == pytest.approx(0.6, abs=0.01)
    assert not (policy.get_input_embeddings().weight == 0).any()
    packed.save(policy, tokenizer, tmp_path / "dense", "float32")
    packed.save(policy, tokenizer, tmp_path / "sparse", "sparse")
    again, _ = model_io.load(str(tmp_path / "sparse"))
    assert all(torch.equal(one, other) for one, other in zip(policy.state_dict().values(), again.state_dict().values(), strict=True))
    assert variant_builder.size(tmp_path / "sparse") < variant_builder.size(tmp_path / "dense")


def test_dynamic_kernels_do_not_saturate() -> None:
    from trainer.models import int8

    layer = torch.nn.Linear(256, 8, bias=False)
    layer.weight.data = torch.ones(8, 256)  # the largest integers everywhere: without a reduced range old x86 kernels overflow
    made = int8._linear(packed.quantize(layer.weight), layer)
    assert torch.allclose(made(torch.ones(1, 256)), torch.full((1, 8), 256.0), rtol=0.01)


@given(st.lists(st.lists(st.floats(-4, 4, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_integers_are_at_most_half_a_step_off_and_zero_stays_zero(rows: list[list[float]]) -> None:
    weight = torch.tensor(rows)
    values, scale = packed.quantize(weight)
    assert ((values.float() * scale[:, None] - weight).abs() <= scale[:, None] * 0.5001).all()
    assert (values[weight == 0] == 0).all()


def test_transformers_refuses_a_packed_folder_instead_of_guessing(root: Path) -> None:
    from transformers import AutoModelForCausalLM

    with pytest.raises(OSError, match=r"model\.safetensors"):
        AutoModelForCausalLM.from_pretrained(root / "data/models/candidate")


def test_a_damaged_packed_folder_is_one_line(root: Path, tmp_path: Path, policy: Any) -> None:
    _, tokenizer = model_io.load(str(root / "data/models/policy"))
    packed.save(policy, tokenizer, tmp_path / "it", "int8")
    path = tmp_path / "it" / packed.WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="expected a model as the stage compress writes it"):
        model_io.load(str(tmp_path / "it"))


def test_the_layer_whose_loss_costs_least_goes(root: Path) -> None:
    def load() -> Any:
        return model_io.load(str(root / "data/models/policy"))[0]

    wanted = load().model.layers[1].mlp.up_proj.weight

    def judge(model: Any) -> tuple[float, float]:
        return 0.5, -float(any(torch.equal(layer.mlp.up_proj.weight, wanted) for layer in model.model.layers))

    assert layer_dropping.without_one(load, judge, [0, 1, 2]) == [0, 2]


def test_fewer_layers_still_write_with_a_cache(policy: Any) -> None:
    layers.keep(policy, [0, 2])
    with torch.no_grad():
        whole = policy(ids()).logits[:, -1]
        first = policy(ids()[:, :-1], use_cache=True)
        last = policy(ids()[:, -1:], past_key_values=first.past_key_values).logits[:, -1]
    assert torch.allclose(whole, last, atol=1e-5)


def test_a_student_keeps_the_first_and_the_last_layer() -> None:
    assert distillation.evenly(4, 2) == [0, 3]
    assert distillation.evenly(30, 15)[0] == 0
    assert [len(set(distillation.evenly(30, count))) for count in range(1, 30)] == list(range(1, 30))


def test_a_student_equal_to_its_teacher_has_nothing_to_learn(root: Path, policy: Any) -> None:
    from trainer.data import encode, release_reader
    from trainer.models import scoring

    _, tokenizer = model_io.load(str(root / "data/models/policy"))
    rows = encode.encode(release_reader.pairs(root / "data/release", "train")[:4], tokenizer, 256).kept
    tokens, margins = distillation.losses(policy, policy, rows, tokenizer.pad_token_id)
    assert (tokens.item(), margins.item()) == pytest.approx((0, 0), abs=1e-5)
    other = model_io.load(str(root / "data/models/start"))[0]
    mine, theirs = (scoring.score(model, rows, tokenizer.pad_token_id, 4).margin for model in (policy, other))
    _, margins = distillation.losses(policy, other, rows, tokenizer.pad_token_id)
    assert margins.item() == pytest.approx(np.abs(mine - theirs).mean(), rel=1e-3)


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher(root: Path, policy: Any) -> None:
    from trainer.data import encode, release_reader
    from trainer.settings import Schedule

    student, tokenizer = model_io.load(str(root / "data/models/policy"))
    with torch.no_grad():
        student.lm_head.weight.mul_(8)
    rows = encode.encode(release_reader.pairs(root / "data/release", "train"), tokenizer, 256).kept
    schedule = Schedule(
        num_train_epochs=20, max_steps=20, train_batch_size=8, per_device_train_batch_size=8, learning_rate=0.02, warmup_ratio=0.1
    )
    loss = distillation.train(student, policy, rows, tokenizer.pad_token_id, 0.02, schedule, seed=0)
    assert len(loss) == 20
    assert loss[-1]["tokens"] < loss[0]["tokens"] / 2


def test_broken_answers_are_told_apart(root: Path) -> None:
    _, tokenizer = model_io.load(str(root / "data/models/policy"))
    words, end = tokenizer("Good morning to you", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id
    blank, byte = tokenizer(" \n", add_special_tokens=False)["input_ids"], tokenizer.convert_tokens_to_ids("Ã")
    answers = {
        "ok": [*words, end],
        "unended": words,
        "empty": [*blank, end],
        "loop": [*words[:2] * 9, end],
        "near": [*random.Random(0).choices(words[:3], k=40), end],
        "not_text": [*words, byte, end],
    }
    assert {kind: degenerate_answers.classify(tokens, {end}, tokenizer) or "ok" for kind, tokens in answers.items()} == {
        kind: "loop" if kind == "near" else kind for kind in answers
    }


@given(POINTS)
def test_nothing_on_the_front_is_dominated_and_everything_else_is_by_the_front(points: dict[str, tuple[int, ...]]) -> None:
    front = pareto.front(points)
    assert front
    for name, point in points.items():
        beaten = [other for other in points if pareto.dominates(points[other], point)]
        assert (name in front) == (not beaten)
        assert name in front or any(pareto.dominates(points[other], point) for other in front)


def candidate(accuracy: float, size: int, errors: float = 0.1, ms: float | None = None) -> pareto.Candidate:
    return pareto.Candidate(accuracy, errors, size, ms)


def test_the_budget_binds_accuracy_errors_and_time() -> None:
    context = {"original": candidate(0.80, 100, ms=9.0)}
    near, broken, slow = candidate(0.79, 50, ms=9.0), candidate(0.80, 20, 0.2, 9.0), candidate(0.80, 10, ms=30.0)
    every = context | {"near": near, "far": candidate(0.78, 5, ms=9.0), "broken": broken, "slow": slow}
    assert pareto.pick(every, "original", pareto.Budget(1.0, 5.0, 20.0)) == "near"
    assert pareto.pick(every, "original", pareto.Budget(1.0, 5.0, None)) == "slow"
    assert pareto.pick(every, "original", pareto.Budget(1.0, 10.0, 20.0)) == "broken"
    assert pareto.pick(every, "original", pareto.Budget(2.0, 5.0, None)) == "far"
    assert pareto.pick(every, "original", pareto.Budget(1.0, 5.0, 1.0)) == "original", "nothing is fast enough"


def test_where_nothing_fits_a_line_says_so(root: Path) -> None:
    result = told(root) | {"pick": "original"}
    assert compression_report.explain_pick(result).startswith(
        "no smaller variant is within the budget (at most 100 points of accuracy lost"
    )


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["int4"], "found 'int4'; expected prune-P, drop-N or student-N"),
        (["drop-1+int4"], r"found 'drop-1\+int4'"),
        (["drop-3"], "compress.variants: drop-3: found a policy of 3 layers; expected drop-1 to drop-2"),
        (["prune-100"], "prune-100: found 100 percent; expected prune-1 to prune-99"),
        (["half", "half"], "found a variant twice"),
        ([], "found no variant"),
    ],
)
def test_a_variant_that_cannot_be_is_refused_before_any_work(root: Path, names: list[str], line: str) -> None:
    with pytest.raises(UserError, match=line):
        variant_builder.plan(root / "data/models/policy", names)


@given(st.sampled_from(["prune-20", "drop-1", "student-2"]), st.sampled_from(variant_names.STORAGES))
def test_a_name_tells_recipe_and_storage(first: str, storage: str) -> None:
    spec = variant_names.parse(f"{first}+{storage}")
    assert (f"{spec.kind}-{spec.amount}", spec.storage) == (first, storage)


def test_the_plot_rings_the_pick_in_both_panels(root: Path) -> None:
    timed = json.loads((root / "data/reports/compress/pareto.json").read_text())
    assert pareto_plot.plot(timed).count('class="pick"') == 2


@given(st.lists(st.tuples(st.floats(0, pareto_plot.WIDE), st.floats(0, pareto_plot.HIGH)), min_size=1, max_size=11))
def test_the_plot_keeps_names_apart_and_off_the_dots(places: list[tuple[float, float]]) -> None:
    spots = [(f"variant-{number}", x, y) for number, (x, y) in enumerate(places)]
    names = [(float(x), float(y)) for x, y in re.findall(r'<text x="([-.\d]+)" y="([-.\d]+)"', "".join(pareto_plot._labels(spots)))]
    assert len(names) == len(spots)
    wide = 7.0 * len("variant-0")
    for at, (x, y) in enumerate(names):
        assert all(abs(x - other) >= wide - 1 or abs(y - line) >= pareto_plot.LINE - 0.2 for other, line in names[:at])
        assert not any(x < dot < x + wide and y - 10 < height < y + 2 for _, dot, height in spots)


@given(st.floats(0, 1), st.floats(0.01, 500))
def test_axes_have_some_round_marks_within(low: float, length: float) -> None:
    marks = pareto_plot._round(low, low + length)
    assert 2 <= len(marks) <= 8
    assert low - 1e-6 <= marks[0] < marks[-1] <= low + length + 1e-6
    assert all(len(f"{mark:.6f}".rstrip("0").replace(".", "").strip("0")) <= 6 for mark in marks)


def test_a_plain_budget_hands_over_what_any_server_loads(root: Path) -> None:
    from trainer.compression.latency import Latency

    variants = told(root)["variants"]
    latencies = {name: Latency(*[1.0] * 6) for name in variants}
    anything, plain = (small(budget__plain=plain).budget.model_dump() for plain in (False, True))
    assert compression_report.summarize(variants, latencies, anything)["pick"] == "student-2+int8"
    picked = compression_report.summarize(variants, latencies, plain)["pick"]
    sizes = {name: one["bytes"] for name, one in variants.items() if one["plain"]}
    assert picked == min(sizes, key=lambda name: sizes[name]) == "half"

"""`pairwright plan` says what training takes before anything is loaded, from parameters and a configuration alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from tasks.core import params
from tasks.core.errors import UserError
from tests.benchmarks import planned_memory
from tests.builders import training
from tests.conftest import ROOT
from trainer import presets, reward, start, train
from trainer.models import adapters, four_bit
from trainer.planning import estimate, memory
from trainer.planning.estimate import Need
from trainer.planning.memory import Shape
from trainer.settings import Adapter

FULL = Adapter(r=0, lora_alpha=8.0, lora_dropout=0.0, target_modules="all-linear", gradient_checkpointing=False, load_in_4bit=False)
LORA = FULL.model_copy(update={"r": 4})
SHAPE = Shape(rows=2, tokens=32, logits=16)


@pytest.fixture(scope="module")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parameters with the preset for Mistral laid over."""
    path = tmp_path_factory.mktemp("mistral") / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    presets.lay("mistral-7b", path)
    return path


def planned(path: Path, **adapter: object) -> dict[str, Need]:
    """What each stage takes by these parameters, with `adapter` laid over the adapters'."""
    first, judge, method = (params.load(path, name, kind.Params) for name, kind in (("start", start), ("reward", reward), ("train", train)))
    laid = [one.model_copy(update={"adapter": one.adapter.model_copy(update=adapter)}) for one in (judge, method)]
    return {need.stage: need for need in estimate.needs(estimate.config_of(first, None), first, *laid)}


def test_parameters_are_those_of_the_model_itself(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = training.tiny_model(tmp_path / "model")
    config = AutoConfig.from_pretrained(folder)
    whole = AutoModelForCausalLM.from_pretrained(folder)
    assert memory.sizes(config, FULL).whole == memory.sizes(config, FULL).trained == whole.num_parameters()
    adapted = adapters.wrap(whole, LORA, "CAUSAL_LM")
    assert isinstance(adapted, PeftModel)
    assert memory.sizes(config, LORA).trained == adapted.get_nb_trainable_parameters()[0]


def test_activations_grow_with_rows_and_shrink_with_checkpointing(tmp_path: Path) -> None:
    config = estimate._read(training.tiny_model(tmp_path / "model"), "x")
    one, two = (memory.activations(config, replace(SHAPE, rows=rows), FULL, 4) for rows in (1, 2))
    assert 1.3 < two / one <= 2.0
    again = FULL.model_copy(update={"gradient_checkpointing": True})
    assert memory.activations(config, SHAPE, again, 4) < two
    assert memory.activations(config, SHAPE, FULL, 2) < 0.8 * two


def test_mistral_s_figures_are_known_without_a_network(mistral: Path) -> None:
    lora, four, full = planned(mistral), planned(mistral, load_in_4bit=True), planned(mistral, r=0)
    assert lora["train"].parameters == 7_248_023_552
    assert list(lora) == ["reward", "train"], "without a supervised start"
    assert lora["train"].trained == 41_943_040
    gib = {name: found["train"].peak / 2**30 for name, found in (("lora", lora), ("four", four), ("full", full))}
    assert 14 < gib["lora"] < 20
    assert 4 < gib["four"] < 8
    assert 100 < gib["full"] < 120, "sixteen bytes a parameter"


def test_the_command_prints_a_table_or_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan"]) == 0
    said = capsys.readouterr().out
    assert "scratch (llama), computed in float32: " in said
    assert all(f"\n{stage} " in said for stage in ("start", "reward", "train"))
    assert cli.main(["plan", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [need["stage"] for need in document["needs"]] == ["start", "reward", "train"]
    assert cli.main(["plan", "--config", "nowhere.json"]) == 1
    assert "--config nowhere.json: found no JSON in nowhere.json" in capsys.readouterr().err


def test_a_preset_is_planned_for_and_the_parameters_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", "--model", "mistral-7b"]) == 0
    assert "7,248,023,552 parameters" in capsys.readouterr().out
    assert (tmp_path / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert cli.main(["plan", "--model", "mistrl"]) == 1
    assert "--model: found 'mistrl'; expected" in capsys.readouterr().err


def test_a_model_whose_measures_nobody_knows_is_told_with_the_remedy() -> None:
    given = training.tiny("start", model__source="nobody/such-model")
    with pytest.raises(UserError, match=r"nobody/such-model: found no configuration in the hub's cache; .* --config"):
        estimate.config_of(given, None)


@pytest.mark.parametrize(("rank", "found"), [(0, r"adapter\.r: 0"), (4, "no GPU that torch can use")])
def test_four_bits_without_a_gpu_or_an_adapter_are_refused_in_one_line(rank: int, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRWRIGHT_DEVICE", "cpu")
    with pytest.raises(UserError, match=found) as caught:
        adapters.weight_dtype(FULL.model_copy(update={"r": rank, "load_in_4bit": True}), "bfloat16")
    assert "\n" not in str(caught.value)


def test_four_bits_are_asked_for_as_bitsandbytes_reads_them() -> None:
    import torch

    told = four_bit.loading("nf4-bfloat16")
    assert (told["dtype"], told["quantization_config"].bnb_4bit_compute_dtype) == (torch.bfloat16, torch.bfloat16)
    assert told["quantization_config"].load_in_4bit
    assert four_bit.loading("float32") == {"dtype": "float32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", planned_memory.SIZES)
def test_a_plan_is_near_what_is_measured(name: str) -> None:
    found = planned_memory.figures(name)
    assert found["planned"] / found["measured"] == pytest.approx(1, abs=planned_memory.NEAR)

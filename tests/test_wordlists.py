"""Claims about lists of phrases that lie as data beside the code: old parameters are refused, users may add, nothing is forgotten."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from flows import dependencies
from tasks.aggregate import implicit_feedback
from tasks.aggregate import stage as aggregate
from tasks.clean import failures
from tasks.clean import stage as clean
from tasks.common.phrases import Phrases, plain
from tasks.core import params, pipeline
from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.core.wordlists import with_shipped
from tasks.pair import self_identification
from tasks.pair import stage as pair
from tests.builders.chatlog import SIGNALS
from tests.conftest import ROOT

# stage, its parameters, the keys that lead to the model of the lists, that model, the file, and the key of additions
PLACES: list[tuple[str, type[StageParams], tuple[str, ...], type[StageParams], Path, str]] = [
    ("clean", clean.Params, (), failures.FailedAnswers, failures.SHIPPED, "more_failures"),
    ("aggregate", aggregate.Params, ("signals", "thanks"), Phrases, implicit_feedback.SHIPPED / "thanks.yaml", "more"),
    ("aggregate", aggregate.Params, ("signals", "complaint"), Phrases, implicit_feedback.SHIPPED / "complaint.yaml", "more"),
    ("aggregate", aggregate.Params, ("signals", "retry"), implicit_feedback.Repeats, implicit_feedback.SHIPPED / "retry.yaml", "more"),
    ("pair", pair.Params, ("identity",), self_identification.Wording, self_identification.SHIPPED, "more"),
]
OLD = [(*place, name) for place in PLACES for name in place[3].model_fields]


@pytest.mark.parametrize(("stage", "model", "keys", "lists", "file", "more", "name"), OLD)
def test_a_list_that_was_a_parameter_is_refused_with_the_file_that_holds_it_now(
    stage: str, model: type[StageParams], keys: tuple[str, ...], lists: type[StageParams], file: Path, more: str, name: str, tmp_path: Path
) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    section: dict[str, Any] = document[stage]
    for key in keys:
        section = section[key]
    del section[more]
    section[name] = ["x"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    place = ".".join((stage, *keys))
    with pytest.raises(UserError) as caught:
        params.load(path, stage, model)
    line = str(caught.value)
    assert f"params.yaml: {place}.{name}: found a list that " in line
    assert file.name in line
    assert f"expected additions to it in {place}.{more}.{name}; move them there" in line
    assert "\n" not in line


def test_phrases_of_ones_own_are_read_beside_those_that_are_shipped() -> None:
    more = {"phrases": {"en": ["cheers *"], "nl": ["bedankt *"]}, "lead_ins": {"nl": ["oké"]}, "unless": {"nl": ["maar"]}}
    settings = implicit_feedback.Settings.model_validate(SIGNALS | {"thanks": {"more": more}})
    said = ["Cheers for that", "Oké, bedankt!", "bedankt maar nee", "thanks", "danke"]
    kinds, _ = implicit_feedback.opinions(plain(pa.array(said, TEXT)), pa.array(["The answer."] * len(said), TEXT), settings)
    assert kinds.tolist() == ["thanks", "thanks", None, "thanks", "thanks"]


def test_repeats_with_fillers_of_ones_own_are_repeats() -> None:
    asked, again = (pa.array([text], TEXT) for text in ("how long do i boil rice", "alsjeblieft how long do i boil rice"))
    assert implicit_feedback.repeats(again, asked, implicit_feedback.Settings.model_validate(SIGNALS)).tolist() == [None]
    retry = SIGNALS["retry"] | {"more": {"fillers": {"nl": ["alsjeblieft"]}, "unless": {}, "refers_back": {}}}
    assert implicit_feedback.repeats(again, asked, implicit_feedback.Settings.model_validate(SIGNALS | {"retry": retry})).tolist() == [
        "near"
    ]


def test_banners_and_names_of_ones_own_are_known_beside_those_that_are_shipped() -> None:
    own = params.load(ROOT / "params.yaml", "clean", clean.Params)
    more = failures.FailedAnswers(error_banners=["Gateway says no"], error_messages=["broken"], explaining=["because"])
    texts = pa.chunked_array([pa.array(["Gateway says no: try later", "Broken", "NETWORK ERROR DUE TO HIGH TRAFFIC", "Fine."], TEXT)])
    answers = pa.chunked_array([pa.array([True] * 4)])
    assert clean.is_banner(texts, own, answers).to_pylist() == [False, False, True, False]
    assert clean.is_banner(texts, own.model_copy(update={"more_failures": more}), answers).to_pylist() == [True, True, True, False]
    identity = params.load(ROOT / "params.yaml", "pair", pair.Params).identity
    said = pa.array(["I am Zanzibot.", "I am Claude."], TEXT)
    assert self_identification.named(said, identity).tolist() == [False, True]
    wording = self_identification.Wording(names=["Zanzibot"], lead_ins={}, fillers={})
    assert self_identification.named(said, identity.model_copy(update={"more": wording})).tolist() == [True, True]


@pytest.mark.parametrize("text", ["error_banners: [", "error_banners: [a]\nerror_messages: [b]\n", "[a, b]", "error_banners: 7\n"])
def test_a_file_that_holds_no_such_lists_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lists.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"lists.yaml: found .*; expected a list under each of error_banners") as caught:
        with_shipped(file, failures.FailedAnswers(error_banners=[], error_messages=[], explaining=[]))
    assert "\n" not in str(caught.value)


def test_every_file_of_data_that_a_stage_reads_comes_with_the_package() -> None:
    shipped: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    read = set[Path]()
    for stage in pipeline.stages(ROOT).values():
        read |= dependencies.closure((f"{stage.module.partition('.')[0]}.__main__", stage.module), ROOT)
    data = {file for file in read if file.suffix != ".py"}
    assert {place[4] for place in PLACES} <= data
    assert {file for file in data if not any(file.match(glob) for glob in shipped["*"])} == set()


def test_files_that_params_yaml_names_exist() -> None:
    named = re.findall(r"tasks/[\w/.]+\.yaml", (ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert len(named) == len(PLACES)
    assert all((ROOT / name).is_file() for name in named)

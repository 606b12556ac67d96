"""Nothing that is read may run: no pickle, no code of a model, no shell, no path of an archive; in the code, and when it is tried."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.errors import UserError
from tests.builders.training import tiny_model
from tests.conftest import ROOT
from trainer.models import model_io

CODE = sorted(path for folder in ("tasks", "trainer", "flows", "expectations", "docs") for path in (ROOT / folder).rglob("*.py"))
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve", "pickletools"}
MARKUP = {"xml", "lxml", "jinja2.sandbox"}  # parsers that obey entities; nothing here needs one
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
}
EXTRACTS = {"extractall", "extract"}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression; nothing of another."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def faults(source: str) -> Iterator[str]:
    """What in the source could run what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PICKLES | MARKUP)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES | MARKUP:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from call_faults(dotted(node.func), {word.arg: word.value for word in node.keywords})


def call_faults(name: str, words: dict[str | None, ast.expr]) -> Iterator[str]:
    """What is wrong with a call of that name with these keywords."""
    given = {word: value.value for word, value in words.items() if isinstance(value, ast.Constant)}
    if name in CALLS:
        yield name
    if name == "torch.load" and given.get("weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name.endswith(".from_pretrained") and name.split(".")[-2].startswith("Auto") and given.get("trust_remote_code") is not False:
        yield f"{name} without trust_remote_code=False: transformers would ask a person at the terminal"
    if name == "yaml.load" and not dotted(words.get("Loader", ast.Name(""))).endswith(("SafeLoader", "LOADER")):
        yield "yaml.load without a safe loader"
    if name.split(".")[-1] in EXTRACTS and not {"filter", "factory"} & words.keys():
        yield f"{name} without a filter"
    yield from (word for word in ("allow_pickle", "trust_remote_code", "shell") if word in words and given.get(word) is not False)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_of_ours_runs_what_it_reads(path: Path) -> None:
    assert list(faults(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import xml.etree.ElementTree", "from shelve import open", "eval(x)", "exec(x)",
        "os.system('ls')", "subprocess.run('ls', shell=True)", "subprocess.run('ls', shell=given)", "torch.load(x)",
        "torch.load(x, weights_only=False)", "np.load(x, allow_pickle=True)", "yaml.load(x)", "yaml.load(x, Loader=yaml.Loader)",
        "yaml.unsafe_load(x)", "AutoModel.from_pretrained(x)", "transformers.AutoTokenizer.from_pretrained(x, trust_remote_code=True)",
        "load_dataset(x, trust_remote_code=True)", "archive.extractall(x)", "archive.extract(x)",
    ],
)  # fmt: skip
def test_the_walk_sees_each_way_to_run_what_is_read(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize(
    "source", ["torch.load(x, weights_only=True)", "yaml.load(x, Loader=LOADER)", "model.eval()", "archive.extractall(x, filter='data')"]
)
def test_the_walk_lets_the_safe_ways_pass(source: str) -> None:
    assert list(faults(source)) == []


# --- tried ---


class Bomb:
    """What a pickle may hold: a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model."""
    return tiny_model(tmp_path / "model")


def refused(source: Path) -> str:
    with pytest.raises(UserError) as caught:
        model_io.load(str(source))
    told = str(caught.value)
    assert "\n" not in told
    assert str(source) in told
    return told


def test_weights_in_a_pickle_are_refused_and_run_nothing(folder: Path, tmp_path: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Bomb(tmp_path / "mark")}, folder / "pytorch_model.bin")
    assert "safetensors" in refused(folder)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_a_model_brings_is_refused_without_a_question(
    folder: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def answer(*words: object) -> str:
        asked.append(words)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'mark')!r}).touch()\n")
    document = json.loads((folder / file).read_text())
    own = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
    document |= {"auto_map": own, "model_type": "own", "tokenizer_class": "Own"}
    (folder / file).write_text(json.dumps(document))
    if file == "config.json":
        refused(folder)
    else:
        shutil.rmtree(tmp_path / "hub", ignore_errors=True)
        try:
            model_io.load(str(folder))  # the tokenizer's own files are enough to read it as data
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert not (tmp_path / "mark").exists()
    assert not asked


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('touch MARK').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].system('touch MARK') }}",
        "{% for x in range(999999999) %}x{% endfor %}",
    ],
)
def test_a_chat_template_reaches_nothing_outside_of_itself(folder: Path, tmp_path: Path, template: str) -> None:
    """Jinja's sandbox, which transformers puts around a template, is there and holds."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    with pytest.raises(Exception, match=r"unsafe|undefined|Range too big") as caught:
        tokenizer.apply_chat_template(
            [{"role": "user", "content": "x"}], chat_template=template.replace("MARK", str(tmp_path / "mark")), tokenize=False
        )
    assert type(caught.value).__module__.startswith(("jinja2", "builtins"))
    assert not (tmp_path / "mark").exists()

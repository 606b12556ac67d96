"""Trainability: which pairs a trainer would cut, could not tell apart or would feed to a template that does not take them.

In: pairs, of which those that have a reason in a column `dropped` take no part. Out: for each null, or the first finding whose action is
`drop`. Findings are counted each by itself and told in a warning, before any training begins. Without a tokenizer only the roles are
looked at, which costs next to nothing.

The window keeps the first `max_length` tokens of prompt and answer, as the trainers of TRL do; the rule is that of
`tasks.common.tokenization`, by which our own trainer goes too. What a tokenizer's folder holds is part of the result, but not of the
pipeline's identity: run the stage with `--force` after editing it in place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common import tokenization
from tasks.common.arrays import Mask, Rows, absent
from tasks.common.tokenization import Sides
from tasks.common.vocabulary.reasons import pair as why
from tasks.common.vocabulary.roles import FOLLOWS, ROLES
from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.pair.length_matching import in_play

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Action = Literal["ignore", "warn", "drop", "stop"]
BYTES = "bytes"
ROWS_AT_ONCE = 1000


class Trainability(StageParams):
    """For which tokenizer and window pairs are checked, and what happens at each finding, most severe first."""

    tokenizer: str
    max_length: int = Field(ge=1)
    roles_not_alternating: Action
    template_refuses: Action
    template_not_prefix_stable: Action
    same_tokens: Action
    prompt_fills_window: Action
    equal_after_truncation: Action
    answer_cut: Action


FINDINGS = tuple(name for name in Trainability.model_fields if name not in ("tokenizer", "max_length"))


def reasons(pairs: pa.Table, settings: Trainability) -> pa.Array[Any]:
    """The finding for which each pair is dropped, or null; warnings say how many pairs have which finding."""
    asked = in_play(pairs)
    found = {why.ROLES_NOT_ALTERNATING: asked & ~alternating(pairs)}
    if settings.tokenizer:
        words = np.full(len(pairs), None, dtype=object)
        words[asked] = list(_words(pairs, asked, settings))
        found |= {name: words == name for name in FINDINGS if name not in found}
    dropped = np.full(len(pairs), None, dtype=object)
    for name in FINDINGS:
        if name in found and found[name].any():
            _act(name, int(found[name].sum()), int(asked.sum()), settings)
            if getattr(settings, name) == "drop":
                dropped[found[name] & absent(dropped)] = name
    return pa.array(dropped, TEXT)


def alternating(pairs: pa.Table) -> Mask:
    """Whether, in prompt and answer, user and assistant speak in turns: after at most one system message, a call's tools between."""
    allowed = np.array([[role in FOLLOWS[before] for role in ROLES] for before in (*ROLES, "")])
    prompt, last = _steps(pairs["prompt"], np.full(len(pairs), len(ROLES)), allowed)
    chosen, rejected = (_steps(pairs[side], last, allowed)[0] for side in ("chosen", "rejected"))
    return prompt & chosen & rejected


def load(source: str) -> PreTrainedTokenizerBase:
    """A tokenizer with a chat template from a folder, a tokenizer.json, a GGUF file (or a folder with one) or a hub."""
    try:
        tokenizer = _load(source)
    except (OSError, ValueError, ImportError, KeyError) as error:  # what transformers raises for anything missing or unreadable
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        expected = f"`{BYTES}`, a model's folder, a tokenizer.json, a GGUF file, or owner/name on a hub"
        raise UserError(f"pair.trainability.tokenizer: {source}", reason, expected, "check the name, the files, the network") from error
    if not tokenizer.chat_template:
        remedy = "take the model's instruct or chat version, or put a chat_template.jinja beside its tokenizer"
        raise UserError(f"pair.trainability.tokenizer: {source}", "a tokenizer without chat template", "one with", remedy)
    return tokenizer


def _load(source: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    path = Path(source)
    if not path.exists() and (path.suffix in (".json", ".gguf") or len(path.parts) != 2):  # not owner/name: no hub need be asked
        raise FileNotFoundError("nothing there")
    models = sorted(path.glob("*.gguf")) if path.is_dir() and not (path / "tokenizer.json").is_file() else []
    if path.suffix == ".gguf" or models:
        file = models[0] if models else path
        return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    if path.is_file():
        template = path.with_name("chat_template.jinja")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=source)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer.chat_template = template.read_text(encoding="utf-8") if template.is_file() else None
        return tokenizer
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def _words(pairs: pa.Table, asked: Mask, settings: Trainability) -> Iterator[str | None]:
    """What is wrong with the tokens of each pair asked about."""
    judge = _by_bytes(settings.max_length) if settings.tokenizer == BYTES else _by_template(load(settings.tokenizer), settings.max_length)
    sides = pairs.select(["prompt", "chosen", "rejected"])
    for start in range(0, len(pairs), ROWS_AT_ONCE):
        part = sides.slice(start, ROWS_AT_ONCE).filter(pa.array(asked[start : start + ROWS_AT_ONCE]))
        prompts, *answers = (cast("list[tokenization.Messages]", column.to_pylist()) for column in part.columns)
        yield from judge(list(zip(map(tokenization.spoken, prompts), *answers, strict=True)))


Judge = Callable[[list[Sides]], list[str | None]]


def _by_bytes(window: int) -> Judge:
    return lambda rows: [tokenization.verdict(tokenization.as_bytes(row), window) for row in rows]


def _by_template(tokenizer: PreTrainedTokenizerBase, window: int) -> Judge:
    return lambda rows: _judged(tokenizer, rows, window)


def _judged(tokenizer: PreTrainedTokenizerBase, rows: list[Sides], window: int) -> list[str | None]:
    """The findings of rows whose every side the template takes and continues; a word for the others."""
    written = [_written(tokenizer, row) for row in rows]
    texts = [(one.prompt, one.chosen or "", one.rejected or "") for one in written if isinstance(one, tokenization.Rendered)]
    sides = [tokenization.tokenize(tokenizer, [row[side] for row in texts]) for side in range(3)]
    wholes = [tokenization.tokenize(tokenizer, [row[0] + row[side] for row in texts]) for side in (1, 2)]
    stable = [all(whole[: len(prompt)] == prompt for whole in pair) for prompt, *pair in zip(sides[0], *wholes, strict=True)]
    words = iter(
        [
            tokenization.verdict(tokenization.Tokens(*tokens), window) if whole else why.TEMPLATE_NOT_PREFIX_STABLE
            for *tokens, whole in zip(*sides, stable, strict=True)
        ]
    )
    return [one if isinstance(one, str) else next(words) for one in written]


def _written(tokenizer: PreTrainedTokenizerBase, row: Sides) -> tokenization.Rendered | str:
    """The pair's text, or why there is none."""
    from jinja2.exceptions import TemplateError

    try:
        text = tokenization.render(tokenizer, row)
    except TemplateError:  # templates refuse roles that they do not know, or that do not alternate
        return why.TEMPLATE_REFUSES
    return why.TEMPLATE_NOT_PREFIX_STABLE if text.chosen is None or text.rejected is None else text


def _act(name: str, count: int, total: int, settings: Trainability) -> None:
    action: Action = getattr(settings, name)
    tokenizer = f", tokenizer {settings.tokenizer}, {settings.max_length} tokens" if settings.tokenizer else ""
    message = f"{name}: {count:,} of {total:,} pairs"
    if action == "stop":
        remedy = "choose another tokenizer or max_length, or another action"
        raise UserError(f"pair.trainability.{name}: stop", message + tokenizer, "no such pair", remedy)
    if action != "ignore":
        warnings.warn(f"{message} ({'dropped' if action == 'drop' else 'kept'}{tokenizer})", stacklevel=3)


def _steps(messages: pa.ChunkedArray[Any], before: Rows, allowed: Mask) -> tuple[Mask, Rows]:
    """Whether each step inside the lists is allowed, the first one from `before`; and the last role of each list."""
    counts = pc.list_value_length(messages).to_numpy()
    roles = pc.index_in(pc.struct_field(pc.list_flatten(messages), "role"), value_set=pa.array(ROLES, TEXT))
    codes = roles.fill_null(-1).to_numpy()
    ends = np.cumsum(counts)
    earlier = np.roll(codes, 1)
    firsts = (ends - counts)[counts > 0]
    earlier[firsts] = before[counts > 0]
    good = allowed[earlier, codes] & (codes >= 0)
    bad = np.bincount(np.repeat(np.arange(len(counts)), counts), weights=~good, minlength=len(counts)) > 0
    last = before.copy()
    last[counts > 0] = codes[(ends - 1)[counts > 0]]
    return ~bad & (counts > 0), last

"""The forms that files of an export take: JSON lines, Parquet, YAML, shell scripts. The same rows give the same bytes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Line = dict[str, Any]


# Rows at once of one process: the most, up to MICRO, with which PROCESSES share a step of BATCH rows evenly.
DIVIDE = """while [ "$MICRO" -gt 1 ] && [ $((BATCH % (MICRO * PROCESSES))) -ne 0 ]; do MICRO=$((MICRO - 1)); done
if [ $((BATCH % (MICRO * PROCESSES))) -ne 0 ]; then
  echo "error: $PROCESSES GPUs do not share a step of $BATCH rows evenly; set GPUS to a divisor of it, or a larger batch in params.yaml" >&2
  exit 2
fi
"""


def divided(batch: int, most: int) -> str:
    """Lines of a script that set MICRO."""
    return f"BATCH={batch}\nMICRO={min(batch, most)}\n{DIVIDE}"


def jsonl(lines: list[Line]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode("utf-8", "surrogatepass")


def parquet(schema: pa.Schema, lines: list[Line]) -> bytes:
    """One Parquet file with this schema."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(lines, schema=schema), sink, compression="zstd", write_statistics=False)
    return bytes(sink.getvalue().to_pybytes())


def document(values: Line) -> bytes:
    """A JSON document for people to read."""
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def settings(values: Line, about: str) -> bytes:
    """A YAML file with a remark on top."""
    return (f"# {about}\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=140)).encode("utf-8")


def script(command: str, flags: Sequence[tuple[str, object] | str], about: str, before: str = "") -> bytes:
    """A shell script that runs one command in its own folder; a flag without value is a switch, and `=` joins where the name ends so."""
    parts = [_flag(flag) for flag in flags]
    body = " \\\n  ".join([command, *parts, '"$@"'])
    return f'#!/bin/sh\n# {about}\nset -eu\ncd "$(dirname "$0")"\n{before}{body}\n'.encode()


def _flag(flag: tuple[str, object] | str) -> str:
    if isinstance(flag, str):
        return flag
    name, value = flag
    text = str(value)
    quoted = text if text.startswith('"$') else shlex.quote(text)
    return f"{name}{quoted}" if name.endswith("=") else f"{name} {quoted}"

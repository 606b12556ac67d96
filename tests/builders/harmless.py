"""Anthropic's harmless pairs among the real inputs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tests.builders import releases


def harmless(folder: Path) -> list[dict[str, Any]]:
    """Anthropic's harmless pairs, as the reader of the format understands them."""
    lines = gzip.decompress((folder / "hh_rlhf/harmless-base/test.jsonl.gz").read_bytes()).decode().splitlines()
    found = []
    for number, line in enumerate(map(json.loads, lines)):
        before, chosen = line["chosen"].rsplit("\n\nAssistant:", 1)
        other, rejected = line["rejected"].rsplit("\n\nAssistant:", 1)
        if before != other or chosen.strip() == rejected.strip():
            continue
        start = before.split("\n\nAssistant:")[0].strip().lower()
        row = releases.row(before.rsplit("\n\nHuman:", 1)[-1], chosen.strip(), rejected.strip(), "train")
        found.append(row | {"pair_id": f"{number:05d}", "cluster_id": start, "conversations": []})
    return found

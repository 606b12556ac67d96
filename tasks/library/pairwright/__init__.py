"""Pairwright from Python: chat logs to preference pairs, step by step, without a workspace.

Each function takes the result of the step before it, or lists of dicts, pandas or Arrow; runs the pipeline's own stage with its shipped
parameters; and returns a small object with what was kept, what was dropped and why. Nothing is written to disk.

>>> import pairwright
>>> asked = {"role": "user", "content": "What is the capital of Norway?"}
>>> records = [
...     {"id": "c1", "messages": [asked, {"role": "assistant", "content": "It is Oslo."}]},
...     {"id": "c2", "messages": [asked, {"role": "assistant", "content": "Bergen, I guess."}]},
...     {"conversation_id": "c1", "message_index": 1, "kind": "thumb", "value": 1, "user_id": "ann"},
...     {"conversation_id": "c2", "message_index": 1, "kind": "thumb", "value": -1, "user_id": "bob"},
... ]
>>> logs = pairwright.read_logs(records)
>>> cleaned = pairwright.clean(logs)
>>> unique = pairwright.deduplicate(cleaned)
>>> parts = pairwright.split(unique)
>>> result = pairwright.build_pairs(parts)
>>> [(pair["chosen"][0]["content"], pair["rejected"][0]["content"]) for pair in result.pairs.to_pylist()]
[('It is Oslo.', 'Bergen, I guess.')]

`pairs(logs)` is all of this in one call.
"""

from __future__ import annotations

from pairwright._certify import Certificate, certify
from pairwright._clean import Cleaned, clean
from pairwright._confidence import Consensus, Opinion, confidence
from pairwright._dedupe import Copy, Deduplicated, deduplicate
from pairwright._pairs import Explanation, Pairs, Support, build_pairs, pairs
from pairwright._read import Logs, read_logs
from pairwright._split import Split, split
from tasks.core.errors import UserError

__all__ = [
    "Certificate", "Cleaned", "Consensus", "Copy", "Deduplicated", "Explanation", "Logs", "Opinion", "Pairs", "Split", "Support",
    "UserError", "build_pairs", "certify", "clean", "confidence", "deduplicate", "pairs", "read_logs", "split",
]  # fmt: skip

"""How long answers are: one meaning of it for what is matched, measured and told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Rows


def length(messages: pa.ChunkedArray[Any], feature: str = "characters") -> Rows:
    """Characters or words of each list of messages, all its messages together."""
    content = pc.struct_field(pc.list_flatten(messages), "content")
    sizes = pc.utf8_length(content) if feature == "characters" else pc.count_substring_regex(content, r"\S+")
    total: Rows = np.bincount(pc.list_parent_indices(messages).to_numpy(), weights=sizes.to_numpy(), minlength=len(messages)).astype(
        np.int64
    )
    return total

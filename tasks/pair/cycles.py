"""Circles of preferences (A over B, B over C, C over A) among answers to one prompt, and the weakest edges that close them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.common.arrays import Mask, Rows


def closing(better: Rows, worse: Rows) -> Mask:
    """Which edges, taken in the order given (strongest first), would close a circle of those before them.

    Edges between two strongly connected components cannot lie on a circle: only what is left of the others, which is rare, is walked.
    """
    closes = np.zeros(len(better), bool)
    names, ends = np.unique(np.concatenate([better, worse]), return_inverse=True)
    start, stop = ends[: len(better)], ends[len(better) :]
    graph = coo_array((np.ones(len(start), np.int8), (start, stop)), shape=(len(names), len(names)))
    part = connected_components(graph, directed=True, connection="strong")[1] if len(names) else ends
    below: dict[int, list[int]] = defaultdict(list)
    for edge in np.flatnonzero(part[start] == part[stop]).tolist():
        one, other = int(start[edge]), int(stop[edge])
        if leads(below, other, one):
            closes[edge] = True
        else:
            below[one].append(other)
    return closes


def leads(below: dict[int, list[int]], source: int, target: int) -> bool:
    """Whether there is a way from source to target."""
    seen, queue = {source}, [source]
    while queue:
        for node in below.get(queue.pop(), ()):
            if node == target:
                return True
            if node not in seen:
                seen.add(node)
                queue.append(node)
    return source == target

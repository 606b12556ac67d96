"""What consensus finds out about a crowd whose truth is known."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.aggregate import dawid_skene
from tests.builders import simulated
from tests.builders.chatlog import CONSENSUS
from tests.builders.simulated import Crowd

SETTINGS = dawid_skene.Consensus.model_validate(CONSENSUS)


@functools.cache
def judged(crowd: Crowd, kind: str = "choice") -> tuple[simulated.Ballots, dawid_skene.Found, npt.NDArray[np.float64]]:
    """The crowd's ballots, what was found, and each person's reliability."""
    told = simulated.ballots(crowd)
    found = dawid_skene.find(simulated.acts(told, kind), SETTINGS)
    return told, found, column(found.annotators, "reliability", crowd.people)


def column(annotators: pa.Table, name: str, people: int) -> npt.NDArray[Any]:
    """A column of the table in the order of the simulation's people."""
    rows = pc.index_in(simulated.name("p", np.arange(people)), annotators["annotator"].combine_chunks())
    return np.asarray(annotators[name].take(rows).to_numpy())

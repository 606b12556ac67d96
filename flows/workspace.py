"""Where a command works: in the root of the workspace that it was called in, as `git` and `dvc` do.

In: the folder that a person stands in. Out: the nearest folder from there upwards that has a `dvc.yaml`, made the current one; paths on
the command line still mean what they meant where the person stands.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tasks.core.errors import UserError

MARK = "dvc.yaml"


def enter(given: argparse.Namespace) -> None:
    """Go to the root; a UserError where there is none."""
    here = current()
    root = next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), None)
    if root is None:
        remedy = "go into a workspace, or make one with `pairwright init DIR`"
        raise UserError(str(here), f"no {MARK}, here or above", "a workspace of Pairwright", remedy)
    if root == here:
        return  # and paths are told as they were typed
    for name, value in vars(given).items():
        if isinstance(value, Path):
            setattr(given, name, here / value)
    os.chdir(root)


def current() -> Path:
    """The current folder; a UserError where somebody has deleted it meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder", "nothing: it was deleted", "a folder that is there", "go to another one") from None

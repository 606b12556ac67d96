"""What a deployment of `prefect.yaml` runs, as Prefect names it: `flows.build.build`, or `flows/build.py:build` where the file is at hand.

A workspace of the installed package has no files of flows, so the shipped deployments name modules.
"""

from __future__ import annotations


def parts(entrypoint: str) -> tuple[str, str]:
    """Its module and its function."""
    file, colon, name = entrypoint.rpartition(":")
    if not colon:
        file, _, name = entrypoint.rpartition(".")
    return file.removesuffix(".py").replace("/", "."), name

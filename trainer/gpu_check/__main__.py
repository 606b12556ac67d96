"""The command: `python -m trainer.gpu_check [--device cpu] [--size NAME]... [--into FOLDER]`; see the package."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from trainer.gpu_check import settings
from trainer.gpu_check.table import NOTHING_TRIED, Result, exit_code, summary, table

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", settings.FOUR_BIT)


def main(arguments: Sequence[str]) -> int:
    """Exit code of the check."""
    given = _parser().parse_args(arguments)
    fault = missing() or (None if given.device == "cpu" else no_gpu())
    if fault:
        return _told(fault)
    os.environ["PAIRWRIGHT_DEVICE"] = given.device
    sizes = [getattr(settings, name.upper()) for name in given.size or (["tiny"] if given.device == "cpu" else ["small", "large"])]
    _say(machine(given.device))
    results = []
    with tempfile.TemporaryDirectory(prefix="pairwright-gpu-") as folder:
        from trainer.gpu_check import checks

        for result in checks.run(Path(folder), sizes, given.device):
            _say(f"gpu-check: {' | '.join(filter(None, result.cells()))}")
            results.append(result)
    return ended(results, machine(given.device), given.into)


def ended(results: Sequence[Result], where: str, into: Path | None) -> int:
    """Print the table, and write it where it is wanted; the exit code."""
    _say(f"\n{table(results)}\n\n{summary(results)}")
    if into:
        into.mkdir(parents=True, exist_ok=True)
        (into / "gpu-check.md").write_text(f"{where}\n\n{table(results)}\n\n{summary(results)}\n", encoding="utf-8")
        (into / "gpu-check.json").write_text(json.dumps([one.document() for one in results], indent=1) + "\n", encoding="utf-8")
    return exit_code(results)


def missing() -> str | None:
    """What is needed and not installed, and how to get it."""
    lacking = sorted(package for name, package in settings.NEEDED.items() if importlib.util.find_spec(name) is None)
    if not lacking:
        return None
    return f"{', '.join(lacking)} not installed; run `pip install -c constraints.txt {' '.join(lacking)}`"


def no_gpu() -> str | None:
    """Why no GPU can be used, and what to do."""
    import torch

    if torch.cuda.is_available():
        return None
    reason = "torch sees no GPU" if torch.version.cuda else f"torch {torch.__version__} was built without CUDA"
    return f"{reason}; run it on a machine with an NVIDIA GPU and a torch with CUDA (or with `--device cpu`, to try the check itself)"


def machine(device: str) -> str:
    """The card, the processor, and the versions that take part."""
    import torch

    card = platform.machine() if device == "cpu" else torch.cuda.get_device_name()
    count = "" if device == "cpu" else f" x {torch.cuda.device_count()}, CUDA {torch.version.cuda}"
    return f"{card}{count}; Python {platform.python_version()}; {', '.join(map(_version, LIBRARIES))}"


def _version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"no {name}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _told(fault: str) -> int:
    sys.stderr.write(f"gpu-check: {fault}\n")
    return NOTHING_TRIED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu-check", description="Whether training works on this machine's GPU, and what it costs there.")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu tries the check itself, with tiny models")
    parser.add_argument("--size", action="append", choices=["tiny", "small", "large"], help="only this model (may be repeated)")
    parser.add_argument("--into", type=Path, help="a folder for the table (gpu-check.md, gpu-check.json)")
    return parser


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # CUDA and thread pools may outlive the interpreter's shutdown

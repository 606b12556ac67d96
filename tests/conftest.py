"""Fixtures that all tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tasks.common import salt
from tasks.core import telemetry  # noqa: F401  (before any library that would report its use)

# Ids of people are the same in every project that a test makes, whatever its logs.
os.environ.setdefault(salt.VARIABLE, "salt of the tests")

import yaml  # isort: skip
from tasks.core import engine  # isort: skip
from tasks.ingest.formats.roles import learn_roles  # isort: skip

# A busy machine must not fail a law; examples are the same in every run.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("PAIRWRIGHT_SHARED", ROOT.parent / "shared"))


@pytest.fixture(autouse=True, scope="session")
def salt_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stages that run in the tests' own process leave no salt and no fingerprint in the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(salt, "FOLDER", tmp_path_factory.mktemp("salt") / ".pairwright")
        yield


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """Daft takes its number of threads once a process, so before any test computes with it."""
    engine.start()


@pytest.fixture(scope="session", autouse=True)
def _roles() -> None:
    """The names of roles that a run takes from `params.yaml`."""
    learn_roles(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["ingest"]["roles"])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real inputs that lies beside the checkout on some machines; the test skips where it does not."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real inputs in {folder} (set PAIRWRIGHT_SHARED to their parent folder)")
    return folder

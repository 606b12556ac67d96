"""Run one stage: `python -m trainer STAGE`. Inputs and outputs stand in `dvc.yaml`, numbers in `params.yaml`."""

from __future__ import annotations

import sys

from tasks.core.shell import leave
from trainer.launch import main

leave(main(sys.argv[1:]))

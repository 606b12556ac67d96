"""Run one stage: `python -m trainer STAGE`. Inputs and outputs stand in `dvc.yaml`, numbers in `params.yaml`."""

from __future__ import annotations

import sys

from trainer.core.launch import main

sys.exit(main(sys.argv[1:]))

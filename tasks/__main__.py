"""Run one stage: `python -m tasks STAGE`. Inputs and outputs stand in `dvc.yaml`, numbers in `params.yaml`."""

from __future__ import annotations

import sys

from tasks.core import table_io
from tasks.core.shell import leave, main

leave(main("tasks", sys.argv[1:], table_io.run))

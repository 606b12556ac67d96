"""Write the reference pages of the project in the current folder."""

from __future__ import annotations

import sys
from pathlib import Path

from flows.reference.pages import write

if __name__ == "__main__":
    for path in write(Path()):
        sys.stdout.write(f"{path}\n")

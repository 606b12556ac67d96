"""How a run gets its workspace for itself, tries again what can flake, and ends: nothing here knows a stage, or imports Prefect."""

"""How a run gets its workspace for itself, tries again, and ends: nothing here knows a stage, DVC or Prefect."""

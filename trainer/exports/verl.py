"""verl 0.9: prompts for PPO with a script, and pairs as its reward-model data set reads them.

verl has no DPO, no KTO and no trainer for reward models: its PPO takes one that was trained elsewhere (a sequence classifier with one
label, as the stage `reward` writes it). Its `RMDataset` takes plain strings and knows no chat template, so prompts are transcripts there.
"""

from __future__ import annotations

from functools import partial

import pyarrow as pa

from trainer.data.release_reader import Pair, Prompt
from trainer.exports import export_plan, file_formats
from trainer.exports.export_plan import Plan
from trainer.exports.export_rows import SPLITS, Export, Rows, one, plain, transcript
from trainer.exports.file_formats import Line

VERSION = "0.9.1"
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
PROMPTS = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", MESSAGES),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string()), ("prompt_id", pa.string())])),
    ]
)
PAIRS = pa.schema([("prompt", pa.string()), ("chosen", pa.string()), ("rejected", pa.string()), ("pair_id", pa.string())])
GPUS = (
    'GPUS="${GPUS:-8}"  # of one node\nNODES="${NODES:-1}"\nPROCESSES=$((GPUS * NODES))\n'
    'REWARD="${REWARD:?set REWARD to the folder of a reward model (a sequence classifier with one label)}"\n'
)


def export(rows: Rows, given: Plan) -> Export:
    """All files."""
    made = Export()
    for split in SPLITS:
        numbered = list(enumerate(rows.prompts[split]))
        made.lines(f"prompts.{split}.parquet", numbered, partial(_numbered, split), partial(file_formats.parquet, PROMPTS))
        made.lines(f"pairs.{split}.parquet", rows.pairs[split], pair, partial(file_formats.parquet, PAIRS))
    own = given.train.ppo
    before = GPUS + file_formats.divided(
        max(1, own.schedule.train_batch_size // own.num_mini_batches), own.schedule.per_device_train_batch_size
    )
    made.files["ppo.sh"] = file_formats.script("python3 -m verl.trainer.main_ppo", ppo(given, made), f"PPO with verl {VERSION}", before)
    made.not_carried["pairs for DPO"] = "verl has no DPO; pairs.*.parquet are for its RMDataset"
    made.not_carried["unpaired"] = "verl has no KTO"
    made.not_carried["section reward"] = "verl trains no reward model; ppo.sh takes one by REWARD="
    return made


def _numbered(split: str, row: tuple[int, Prompt]) -> Line:
    return prompt(row[1], row[0], split)


def prompt(row: Prompt, index: int, split: str) -> Line:
    """A prompt; the empty truth is what verl's reward manager needs where a model judges."""
    return {
        "data_source": row.source or "pairwright",
        "prompt": plain(row.prompt),
        "ability": "chat",
        "reward_model": {"style": "model", "ground_truth": ""},
        "extra_info": {"index": index, "split": split, "prompt_id": row.prompt_id},
    }


def pair(row: Pair) -> Line:
    """A pair as strings."""
    sides = {"chosen": one(row.chosen)["content"], "rejected": one(row.rejected)["content"]}
    return {"prompt": transcript(row.prompt) + "Assistant: ", **sides, "pair_id": row.pair_id}


def ppo(given: Plan, made: Export) -> list[tuple[str, object] | str]:
    """What `ppo_trainer.yaml` is overridden with."""
    own = given.train.ppo
    mini, micro = max(1, own.schedule.train_batch_size // own.num_mini_batches), '"$MICRO"'
    steps = export_plan.steps(own.schedule, made.rows["prompts.train.parquet"])
    held = made.rows["prompts.validation.parquet"] > 0
    values: list[tuple[str, object]] = [
        ("data.train_files=", "prompts.train.parquet"),
        ("data.val_files=", f"prompts.{'validation' if held else 'train'}.parquet"),  # it wants a file, read or not
        ("data.prompt_key=", "prompt"),
        ("data.max_prompt_length=", given.max_length - own.max_new_tokens),
        ("data.max_response_length=", own.max_new_tokens),
        ("data.filter_overlong_prompts=", "True"),
        ("data.train_batch_size=", own.schedule.train_batch_size),
        ("data.seed=", given.start.seed),
        ("actor_rollout_ref.model.path=", given.base),
        ("actor_rollout_ref.actor.optim.lr=", own.schedule.learning_rate),
        ("actor_rollout_ref.actor.optim.lr_warmup_steps_ratio=", own.schedule.warmup_ratio),
        ("actor_rollout_ref.actor.ppo_mini_batch_size=", mini),
        ("actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=", micro),
        ("actor_rollout_ref.actor.ppo_epochs=", own.num_ppo_epochs),
        ("actor_rollout_ref.actor.clip_ratio=", own.cliprange),
        ("actor_rollout_ref.actor.grad_clip=", own.max_grad_norm),
        ("actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=", micro),
        ("actor_rollout_ref.rollout.name=", "vllm"),
        ("actor_rollout_ref.rollout.temperature=", own.temperature),
        ("actor_rollout_ref.rollout.tensor_model_parallel_size=", 1),
        ("actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=", micro),
        ("critic.model.path=", given.base),
        ("critic.optim.lr=", own.schedule.learning_rate),
        ("critic.ppo_micro_batch_size_per_gpu=", micro),
        ("critic.cliprange_value=", own.cliprange_value),
        ("critic.grad_clip=", own.max_grad_norm),
        ("algorithm.adv_estimator=", "gae"),
        ("algorithm.gamma=", own.gamma),
        ("algorithm.lam=", own.gae_lambda),
        ("algorithm.use_kl_in_reward=", "True"),
        ("algorithm.kl_ctrl.type=", "adaptive" if own.kl_target else "fixed"),
        ("algorithm.kl_ctrl.kl_coef=", own.kl_coef),
        ("algorithm.kl_ctrl.horizon=", own.kl_horizon),
        ("algorithm.kl_ctrl.target_kl=", own.kl_target or 0.1),
        ("reward.reward_model.enable=", "True"),
        ("reward.reward_model.model_path=", '"$REWARD"'),
        ("reward.reward_model.rollout.name=", "vllm"),
        ("reward.reward_model.rollout.tensor_model_parallel_size=", 1),
        # The steps end it: its epochs lack the last rows, and it saves at the end.
        ("trainer.total_epochs=", export_plan.epochs(own.schedule) + 1),
        ("trainer.total_training_steps=", steps),
        ("trainer.save_freq=", steps),  # by itself it saves nothing, not even at the end
        ("trainer.val_before_train=", held),
        ("trainer.n_gpus_per_node=", '"$GPUS"'),
        ("trainer.nnodes=", '"$NODES"'),
        ("trainer.logger=", "[console]"),
        ("trainer.project_name=", "pairwright"),
        ("trainer.experiment_name=", "ppo"),
        ("trainer.default_local_dir=", "out/ppo"),
        *_adapter(given),
    ]
    return list(values)


def _adapter(given: Plan) -> list[tuple[str, object]]:
    adapter = given.train.adapter
    if not adapter.r:
        return []
    targets = adapter.target_modules if isinstance(adapter.target_modules, str) else "[" + ",".join(adapter.target_modules) + "]"
    model = "actor_rollout_ref.model"
    return [(f"{model}.lora_rank=", adapter.r), (f"{model}.lora_alpha=", round(adapter.lora_alpha)), (f"{model}.target_modules=", targets)]

"""The methods that `train.method` may name, by what they read; it imports nothing, so that whoever plans a run may ask.

`PAIRS` and `EXAMPLES` read labels of people, so that a control on shuffled ones says something. `REWARDED` ask the reward model.
"""

from __future__ import annotations

PAIRS = ("sft", "dpo", "tr_dpo", "orpo", "cpo", "simpo")  # sft reads their chosen answers
EXAMPLES = ("kto",)  # single answers that people liked or did not
REWARDED = ("ppo", "grpo", "rloo", "online", "best_of_n")  # prompts, and the reward model just trained
LABELLED = (*PAIRS, *EXAMPLES)
ALL = (*LABELLED, *REWARDED)
# What people call a method that is a setting of another here.
SETTINGS_OF_ANOTHER = {
    "ipo": "train.method: dpo with train.dpo.loss_type: ipo",
    "robust": "train.method: dpo with train.dpo.loss_type: robust",
    "rdpo": "train.method: dpo with train.dpo.loss_type: robust",
    "hinge": "train.method: dpo with train.dpo.loss_type: hinge",
    "slic": "train.method: dpo with train.dpo.loss_type: hinge",
    "apo_zero": "train.method: dpo with train.dpo.loss_type: apo_zero",
    "sigmoid_norm": "train.method: dpo with train.dpo.loss_type: sigmoid_norm",
    "rpo": "train.method: dpo with train.dpo.sft_weight above 0",
    "dr_grpo": "train.method: grpo with train.grpo.loss_type: dr_grpo",
    "dapo": "train.method: grpo with train.grpo.loss_type: dapo",
    "raft": "train.method: best_of_n",
    "rejection_sampling": "train.method: best_of_n",
    "online_dpo": "train.method: online",
    "oaif": "train.method: online",
}

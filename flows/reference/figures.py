"""What the figures of every `metrics.json` mean, by the name under which `dvc metrics show` prints them.

A part in angle brackets stands for several words: `<split>_accuracy` is `validation_accuracy` and `test_accuracy`.
"""

from __future__ import annotations

import re

RELEASE = {
    "pairs_<split>": "released pairs of the split",
    "unpaired": "released answers that were liked or disliked",
    "prompts": "released prompts",
    "kept_share_<stage>": "share of the rows of the stage's tables, given and made, that it kept",
    "<thing>_in_two_splits": "prompts, near-equal clusters or conversations with released pairs in two splits",
    "label_noise": "1 - mean confidence of the training pairs: the share expected to be the wrong way round",
    "longer_chosen": "share of the pairs of different length whose chosen answer is the longer one",
    "length_alone": 'how often "the longer answer wins" is right over all pairs; where both are equally long, half the time',
    "shown_first_won": "share of the choices, of those that say what stood where, that fell on the answer shown first",
    "probe_accuracy": "how often a judge of words is right about pairs that it did not learn from",
    "probe_accuracy_<end>": "interval of it",
    "probe_longer": 'how often "the longer answer wins" is right about the same pairs',
    "probe_suspects": "labels that are probably wrong",
    "probe_planted_auc": "how well suspicion finds labels turned on purpose: area under the curve, 0.5 is chance",
    "probe_untouched": "as probe_accuracy, on validation and test alone, where words had no say in which pairs stay",
    "probe_pairs_for_one_point": "more pairs until the judge of words gains one point of accuracy",
}
TRAINING = {
    "pairs": "pairs learned from",
    "examples": "single answers learned from",
    "prompts": "prompts learned from",
    "left_out": "rows that do not fit the window of tokens, left out whole",
    "left_out_<reason>": "the same, by reason",
    "parameters": "weights of the model",
    "tokens": "tokens of the tokenizer",
    "<method>_steps": "optimizer steps",
    "<method>_loss": "training loss, mean of the last tenth of the steps",
    "<method>_loss_first": "training loss of the first step",
    "<method>_accuracy": "share of training pairs told right, mean of the last tenth of the steps",
    "<method>_margin": "mean distance of the implicit rewards of the two answers, or of liked and disliked ones",
    "<method>_<side>_reward": "mean implicit reward of one side",
    "<method>_<side>_logps": "mean log-probability of an answer of one side: where that of chosen ones falls, good answers become unlikely",
    "<method>_entropy": "entropy of the policy at a token, in nats",
    "<method>_grad_norm": "norm of the gradient before it was clipped",
    "<method>_learning_rate": "learning rate",
    "kto_kl": "mean divergence from the reference that KTO measures its rewards against, in nats",
    "counts_worth": "what token counts are multiplied with before they are taken for log odds: 0 where they tell nothing, 1 at most",
    "reward_gap": "mean distance of the rewards of the two answers",
    "reward_mean": "mean reward of all answers",
    "<own>_updates": "updates, each of rollouts of its own",
    "<own>_best_update": "updates that the policy that comes out has had; 0 is the start",
    "<own>_reward": "mean reward of the policy's own answers, mean of the last tenth of the updates, as all that follow",
    "<own>_kl": "divergence of an answer from the reference, in nats",
    "<own>_length": "tokens of an answer",
    "<own>_ended": "share of the answers that end",
    "<own>_<rollout>_first": "the same of the first rollouts, which the reference wrote",
    "<own>_<rollout>_after": "the same of the policy that comes out",
    "ppo_policy_loss": "loss of the policy",
    "ppo_value_loss": "loss of the value model",
    "<own>_reward_spread": "standard deviation of the rewards of the answers to one prompt",
    "<own>_clip_fraction": "share of the tokens (rloo: of the answers) whose change was clipped",
    "<own>_moved": "divergence of the policy at a token from the one that wrote the rollouts",
    "ppo_kl_coefficient": "price of a nat away from the reference",
    "validation_pairs": "held-out pairs judged",
    "validation_accuracy": "share of them told right by the reward model",
    "validation_loss": "its loss on them",
    "validation_mean": "mean of its rewards",
    "validation_spread": "standard deviation of its rewards",
    "validation_length": "rank correlation of its reward with the tokens of the answer, within pairs",
    "validation_longer": "share of them whose longer answer was chosen: what length alone would get right",
}
EVALUATION = {
    "<split>_pairs": "held-out pairs judged",
    "<split>_left_out": "held-out pairs that do not fit the window of tokens",
    "<split>_groups": "groups of pairs that share prompts or conversations",
    "<split>_accuracy": "share of the pairs told right by the policy's implicit reward",
    "<split>_accuracy_<end>": "Wilson's interval of it",
    "<split>_accuracy_group_<end>": "interval of it by draws of whole groups",
    "<split>_likelihood_<model>": "share told right by the likelihood of the whole answer",
    "<split>_per_token_<model>": "share told right by the mean likelihood of a token",
    "<split>_reward_accuracy": "share told right by the reward model",
    "<split>_reward_accuracy_<end>": "interval of it",
    "<split>_p_<judge>": "p of the test that policy and reference are equally often right",
    "<split>_prefers_better": "1 where the policy is significantly better than the reference by both",
    "test_better": "1 where the policy prefers better and writes no worse: the verdict",
    "writing_faults": "what is clearly worse in the policy's answers than in the reference's and the chosen ones",
    "baseline_<judge>_accuracy": 'share told right by "the longer wins" or by a judge of words (tfidf), on test',
    "baseline_<judge>_p": "p of the test that it and the policy are equally often right",
    "controlled_<judge>_balanced": "share told right where longer and shorter chosen answers weigh the same",
    "controlled_<judge>_equal_length": "share told right between answers of equal length, by a logistic regression on the length",
    "control_mean": "mean accuracy of the same training on shuffled labels",
    "control_seeds": "seeds of it",
    "control_spread": "standard deviation of its accuracy between seeds",
    "control_<end>": "interval of its mean",
    "control_<end>est": "least and greatest accuracy of a seed",
    "reward_ece": "expected calibration error of the reward model on test",
    "reward_ece_tempered": "the same with the temperature that fits validation best",
    "reward_brier": "Brier score of the reward model on test",
    "reward_log_loss": "log loss of the reward model on test",
    "reward_temperature": "the temperature that fits validation best; above 1 the reward model is too sure",
    "generated_prompts": "held-out prompts that policy and reference answered",
    "generated_win_rate": "share of them in which the reward model prefers the policy's answer",
    "generated_win_rate_<end>": "interval of it",
    "generated_win_rate_balanced": "the same where longer and shorter answers of the policy weigh the same",
    "generated_win_rate_equal_length": "the same between answers of equal length",
    "generated_length_ratio_<model>": "characters of the answers, as a share of those of the chosen ones",
    "generated_characters_<writer>": "mean characters of an answer",
    "generated_unfinished_<writer>": "share of the answers that never end",
    "generated_circling_<writer>": "share of the answers that go round in circles",
    "generated_again_<writer>": "share of the phrases of an answer that stood in it before",
    "generated_empty_<writer>": "share of the answers that hold nothing",
    "generated_not_text_<writer>": "share of the answers that are no text",
    "generated_compression_<writer>": "how many times shorter the answers become when packed: repetition between answers",
    "generated_distinct_<n>_<writer>": "share of different n-grams in an answer",
    "generated_surprise_<writer>": "nats a token of the answers under the reference",
}
COMPRESSION = {
    "variants": "variants that were made",
    "front": "variants on the front of validation accuracy and size",
    "<model>_bytes": "bytes on disk of the original, and of the variant that was picked",
    "<model>_errors": "share of its answers that are broken",
    "<model>_<split>_accuracy": "share of the pairs of the split told right",
    "<model>_<split>_margin": "mean distance of the two answers' implicit rewards",
}
COMPARISON = {
    "pairs": "test pairs that both models were asked about; 0 where nothing had to be scored",
    "groups": "groups of them that are evidence of their own",
    "accuracy_<side>": "share of them told right, beside the model's own start",
    "difference": "what the new model is ahead by",
    "difference_<end>": "interval of it, from the bootstrap over groups",
    "p": "p-value of it, by McNemar's test over groups",
    "prompts": "held-out prompts that both answered",
    "length_ratio_<side>": "characters of the answers, as a share of those of the chosen ones",
    "writes_worse": "faults that the new model has and the last one has not, or less",
}
# By the stage that writes them.
STAGES = {
    "release": RELEASE,
    "start": TRAINING,
    "reward": TRAINING,
    "train": TRAINING,
    "evaluate": EVALUATION,
    "compress": COMPRESSION,
    "compare": COMPARISON,
    "promote": COMPRESSION,  # of the model that is handed over
}
VERDICT = {
    "better": "whether the policy prefers significantly better and writes no worse",
    "prefers_better": "whether it prefers significantly better than the reference",
    "written": "whether answers were written and looked at",
    "faults": "what it writes clearly worse",
    "phrase": "the verdict in few words",
    "sentence": "the verdict in a sentence",
}
# What the parts in angle brackets may be, where not any word.
PARTS = {
    "split": "train|validation|test",
    "end": "low|high",
    "method": "supervised|reward|dpo|tr_dpo|orpo|cpo|simpo|kto|ppo|grpo|rloo|online|best_of_n",
    "own": "ppo|grpo|rloo|online|best_of_n",
    "rollout": "reward|kl|length|ended",
    "model": "policy|reference|original|pick",
    "writer": "policy|reference|chosen",
    "judge": "longer|tfidf|policy|reward|implicit|likelihood",
    "n": r"\d",
    "side": "challenger|champion|chosen|rejected",
}


def meaning(stage: str, name: str) -> str | None:
    """What a figure of a stage means; None for one that nobody has described."""
    known = STAGES[stage]
    return known.get(name) or next((said for pattern, said in known.items() if _matcher(pattern).fullmatch(name)), None)


def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"<(\w+)>", pattern)
    return re.compile("".join(f"(?:{PARTS.get(part, '[a-z_]+')})" if number % 2 else re.escape(part) for number, part in enumerate(parts)))

"""Bare loops: what a person would write who trains the same model on the same rows in plain PyTorch, to hold the stages against.

In: a project whose start is there. Out: every step's loss, seconds a step, and peak memory. Nothing of the trainer takes part but the
rows and their order, so that both see the same: models come from transformers, losses are written out, each answer has a row of its
own, and logits are made for all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.data import batches, encode, release_reader
from trainer.gpu_check import project, settings
from trainer.gpu_check.project import RELEASE, START, Project
from trainer.gpu_check.table import Cost
from trainer.models import typed

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

CLIP, IGNORED = 1.0, -100
Row = tuple[list[int], list[int], list[int]]  # prompt, chosen, rejected
Loss = Callable[["Module", Sequence[int]], "Tensor"]  # of a model on the rows of these places


@dataclass(frozen=True)
class Bare:
    """What a bare loop found."""

    losses: list[float]
    cost: Cost


class Loop:
    """The rows of a project's training, in the order in which the stage sees them, and a model that learns from them."""

    def __init__(self, given: Project, section: str, device: str) -> None:
        from transformers import AutoTokenizer

        self.params, self.device, self.folder = given.params, device, given.root / START
        self.own, self.schedule = _sections(given.params, section)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        pairs = release_reader.train_pairs(given.root / RELEASE, False, given.schedule_seed)
        kept = encode.encode(pairs, self.tokenizer, given.params["start"]["max_length"]).kept
        self.rows: list[Row] = [(row.prompt, row.chosen, row.rejected) for row in kept]
        steps = batches.steps(len(kept), self.schedule["train_batch_size"], self.schedule["num_train_epochs"], self.schedule["max_steps"])
        lengths, weights = [row.length for row in kept], [row.pair.weight for row in kept]
        self.order = batches.plan(lengths, weights, self.schedule["train_batch_size"], steps, given.schedule_seed)
        self.half = given.params["start"]["dtype"] == "bfloat16"
        self.seed = given.schedule_seed

    def run(self, model: Module, loss: Loss) -> Bare:
        """Learn from all steps' rows."""
        import torch
        from transformers import get_cosine_schedule_with_warmup

        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.schedule["learning_rate"], weight_decay=0.0, fused=self.device != "cpu")
        steps = len(self.order)
        rate = get_cosine_schedule_with_warmup(optimizer, int(steps * self.schedule["warmup_ratio"]), steps)
        losses, times = [], []
        model.train()
        for places in self.order:
            with self.autocast():
                found = loss(model, places)
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, CLIP)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            losses.append(found.item())  # waits for the GPU
            times.append(time.time())
        return Bare(losses, Cost(project.step_times(times), project.peak()))

    def autocast(self) -> torch.autocast:
        """Products of matrices in bfloat16, where the project says so."""
        import torch

        return torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.half)

    def batch(self, places: Sequence[int], sides: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids, mask, and labels that count answers only: first all of one side, then all of the other; padded on the right."""
        import torch

        lines = [(self.rows[at][0], self.rows[at][side]) for side in sides for at in places]
        longest = max(len(prompt) + len(answer) for prompt, answer in lines)
        room = [longest - len(prompt) - len(answer) for prompt, answer in lines]
        tokens = [[*prompt, *answer, *[self.tokenizer.pad_token_id] * free] for (prompt, answer), free in zip(lines, room, strict=True)]
        mask = [[1] * (longest - free) + [0] * free for free in room]
        labels = [[*[IGNORED] * len(prompt), *answer, *[IGNORED] * free] for (prompt, answer), free in zip(lines, room, strict=True)]
        return tuple(torch.tensor(part, device=self.device) for part in (tokens, mask, labels))  # type: ignore[return-value]

    def answer_losses(self, model: Module, places: Sequence[int], sides: Sequence[int]) -> tuple[Tensor, Tensor]:
        """-log p of every token of the answers, a line each, and how many tokens each line counts."""
        import torch

        tokens, mask, labels = self.batch(places, sides)
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[:, :-1]
        wanted = labels[:, 1:]
        lines = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="none", ignore_index=IGNORED)
        return lines.reshape(wanted.shape), (wanted != IGNORED).sum(1)

    def language_model(self, rank: int) -> Module:
        """The start, as a person loads it; with an adapter where the rank is not 0, and then in the precision of the run."""
        import torch
        from transformers import AutoModelForCausalLM

        kind = torch.bfloat16 if rank and self.half else torch.float32
        model = typed.placed(AutoModelForCausalLM.from_pretrained(self.folder, dtype=kind, trust_remote_code=False), self.device)
        if not rank:
            return model
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(self.seed)
        given = LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=settings.ALPHA, target_modules="all-linear")  # type: ignore[arg-type]  # peft takes any number as alpha
        return get_peft_model(model, given)


def _sections(params: dict[str, Any], section: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of a method, and its schedule."""
    at = params
    for name in section.split("."):
        at = at[name]
    return at, at["schedule"]


def dpo(given: Project, device: str, rank: int = 0) -> Bare:
    """Direct preference optimisation."""
    import torch
    from torch.nn import functional

    before = project.clear()
    loop = Loop(given, "train.dpo", device)
    model = loop.language_model(rank)
    reference: dict[int, tuple[float, float]] = {}
    for places in loop.order:
        with torch.no_grad(), loop.autocast():
            sums = -loop.answer_losses(model, places, (1, 2))[0].sum(1)
        reference |= dict(zip(places, zip(*(side.tolist() for side in sums.chunk(2)), strict=True), strict=True))
    beta, supervised = loop.own["beta"], loop.own["sft_weight"]

    def loss(policy: Module, places: Sequence[int]) -> Tensor:
        lines, counts = loop.answer_losses(policy, places, (1, 2))
        chosen, rejected = (-lines.sum(1)).chunk(2)
        was = torch.tensor([reference[at] for at in places], device=device)
        preference = functional.softplus(-beta * ((chosen - was[:, 0]) - (rejected - was[:, 1]))).mean()
        both: Tensor = preference - supervised * chosen.sum() / counts[: len(places)].sum()
        return both

    found = loop.run(model, loss)
    return _less(found, before)


def supervised(given: Project, device: str) -> Bare:
    """The supervised start, from the same random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    before = project.clear()
    loop = Loop(given, "start", device)
    torch.manual_seed(loop.seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(loop.folder, trust_remote_code=False)).to(device)  # type: ignore[no-untyped-call]  # transformers leaves it untyped

    def loss(policy: Module, places: Sequence[int]) -> Tensor:
        lines, counts = loop.answer_losses(policy, places, (1,))
        return lines.sum() / counts.sum()

    return _less(loop.run(model, loss), before)


def reward(given: Project, device: str) -> Bare:
    """The reward model."""
    import torch
    from torch.nn import functional
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # or it reports the head that is new
    before = project.clear()
    loop = Loop(given, "reward", device)
    model = AutoModelForSequenceClassification.from_pretrained(loop.folder, num_labels=1, dtype="float32", trust_remote_code=False)
    model.config.pad_token_id = loop.tokenizer.pad_token_id
    head = model.score.weight
    chance = torch.Generator().manual_seed(loop.seed)
    head.data = torch.randn(head.shape, generator=chance) / (head.shape[1] + 1) ** 0.5
    model.to(device)

    def loss(scorer: Module, places: Sequence[int]) -> Tensor:
        tokens, mask, _ = loop.batch(places, (1, 2))
        chosen, rejected = scorer(input_ids=tokens, attention_mask=mask).logits[:, 0].chunk(2)
        found: Tensor = (
            functional.softplus(rejected - chosen).mean() + loop.own["center_rewards_coefficient"] * ((chosen + rejected) ** 2).mean()
        )
        return found

    return _less(loop.run(model, loss), before)


def _less(found: Bare, held: int) -> Bare:
    """Without what was held before the loop began."""
    return Bare(found.losses, Cost(found.cost.steps, max(0, found.cost.peak - held)))

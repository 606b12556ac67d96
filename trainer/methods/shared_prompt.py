"""Both answers of a pair in one row, so that their prompt is computed once: the same log-probabilities at about half the cost.

A row is the prompt, the chosen answer, the prompt's last token once more, the rejected answer. A mask hides the answers from each other,
and positions are counted as if each stood right after the prompt; so either is read as it would be alone, but for the last bits of sums.
Logits are made from the first answer on only.

Not every model heeds a mask and positions of one's own (sliding windows, state spaces, other kinds of attention do not), so `fits` tries
it out on a few pairs. In: pairs as token ids. Out: log-probabilities of both answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer.models import scoring, typed
from trainer.models.scoring import IGNORED

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Triple = tuple[list[int], list[int], list[int]]  # prompt, chosen, rejected
BOTH, CHOSEN, REJECTED, PADDING = range(4)  # who reads a column
TRIED = 4  # pairs
CLOSE, CLOSE_HALF = 1e-3, 0.5  # nats of a whole answer, by how weights are held; where mask or positions are not heeded, it is whole nats
SAMPLED = 8  # the entropy is that of one token in so many
MOST_LOGITS = 2**28  # numbers of a micro-batch on a GPU: 1 GB in single precision, and about twice as much again on the way back


def fits(model: PreTrainedModel, pairs: Sequence[Triple], pad: int, together: int) -> bool:
    """Whether this model, where it lies, gives the same log-probabilities for pairs in one row as for answers in rows of their own.

    On a GPU the logits of the pairs that are `together` must have room; TRL makes theirs piece by piece.
    """
    import torch

    text = model.config.get_text_config()
    if text._attn_implementation != "sdpa" or (model.device.type != "cpu" and not has_room(pairs, together, text.vocab_size)):
        return False
    tried = sorted(pairs, key=lambda pair: len(pair[0]))[:: max(1, len(pairs) // TRIED)][:TRIED]
    training = model.training
    typed.evaluating(model)
    with torch.no_grad():
        before = [-scoring.token_losses(model, [(pair[0], pair[side]) for pair in tried], pad).sum(1) for side in (1, 2)]
        try:
            now = log_probabilities(model, {name: part.to(model.device) for name, part in tensors(tried, pad).items()})
        except (TypeError, ValueError, RuntimeError):  # a model that takes no positions, or no mask of this shape
            return False
        finally:
            model.train(training)
    close = CLOSE if model.dtype == torch.float32 else CLOSE_HALF
    return all(bool(torch.allclose(one, other, rtol=0, atol=close)) for one, other in zip(before, now, strict=True))


def has_room(pairs: Sequence[Triple], together: int, vocabulary: int) -> bool:
    """Whether the logits of so many pairs, however long, are few enough to be held at once."""
    return together * max(len(chosen) + len(rejected) + 1 for _, chosen, rejected in pairs) * vocabulary <= MOST_LOGITS


def tensors(pairs: Sequence[Triple], pad: int) -> dict[str, Tensor]:
    """Token ids, positions, labels, who reads each column, padded on the right; and the first column whose logits are needed."""
    import torch

    rows = [_row(*pair) for pair in pairs]
    longest = max(len(row[0]) for row in rows)
    found = {
        name: torch.tensor([row[at] + [blank] * (longest - len(row[at])) for row in rows])
        for at, (name, blank) in enumerate({"tokens": pad, "positions": 0, "labels": IGNORED, "readers": PADDING}.items())
    }
    return found | {"first": torch.tensor(min(len(pair[0]) for pair in pairs) - 1)}


def _row(prompt: list[int], chosen: list[int], rejected: list[int]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Tokens, positions, labels and readers of one pair."""
    last, size = prompt[-1], len(prompt)
    tokens = [*prompt, *chosen, last, *rejected]
    positions = [*range(size + len(chosen)), *range(size - 1, size + len(rejected))]
    labels = [*[IGNORED] * size, *chosen, IGNORED, *rejected]
    readers = [*[BOTH] * (size - 1), *[CHOSEN] * (1 + len(chosen)), *[REJECTED] * (1 + len(rejected))]
    return tokens, positions, labels, readers


def log_probabilities(model: PreTrainedModel, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The sums over the chosen and over the rejected answers, one number a pair."""
    logits, labels, sides = _forward(model, given)
    lines = token_losses(logits, labels)
    return -(lines * (sides == CHOSEN)).sum(1), -(lines * (sides == REJECTED)).sum(1)


def read(model: PreTrainedModel, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """-log p of every token, one line a pair; which side each belongs to; and the entropy (a number, in nats) of a part of them."""
    logits, labels, sides = _forward(model, given)
    return token_losses(logits, labels), sides, entropy(logits, labels)


def _forward(model: PreTrainedModel, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and readers of the columns that any answer needs."""
    import torch

    readers, columns = given["readers"], torch.arange(given["tokens"].shape[1], device=given["tokens"].device)
    before = columns[None, None, :] <= columns[None, :, None]
    seen = before & ((readers[:, None, :] == BOTH) | (readers[:, None, :] == readers[:, :, None]))
    kept = columns[int(given["first"]) : -1]
    asked: dict[str, Any] = {"input_ids": given["tokens"], "attention_mask": seen[:, None], "position_ids": given["positions"]}
    logits = model(**asked, use_cache=False, logits_to_keep=kept).logits
    return logits, given["labels"][:, kept + 1], readers[:, kept + 1]


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p of every label, 0 where none counts; in the shape of the labels."""
    import torch

    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none", ignore_index=IGNORED)
    return losses.reshape(labels.shape)


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean entropy, in nats, of the choice at every eighth of the tokens that count: at all of them it costs a fifth of a step on a CPU."""
    import torch

    with torch.no_grad():
        lines, columns = (labels != IGNORED).nonzero(as_tuple=True)
        every = logits.detach()[lines[::SAMPLED], columns[::SAMPLED]].float().log_softmax(-1)
        return -(every.exp() * every).sum(-1).mean()

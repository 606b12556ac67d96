"""Tokenizers: one made from scratch, and the checks that any tokenizer must pass before a step is spent on it.

The checks, after `template_repairs` has done what it can: the chat template renders a prompt the same way whether or not an answer follows
(else the model learns in a context that it never meets again), and it ends an answer; padding is not the token that ends one (else a
trainer that masks padding also masks the end, and the model never learns to stop).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tasks.common.vocabulary.roles import ROLES
from tasks.core.errors import UserError
from trainer.data import chat_templates
from trainer.data.chat_templates import ANSWER, MORE, PROMPT, closes
from trainer.data.chat_templates import closing_tokens as closing_tokens
from trainer.data.chat_templates import end_tokens as end_tokens
from trainer.data.release_reader import Messages, Pair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PAD, END = "<|pad|>", "<|end|>"
SPECIAL = (PAD, END, *(f"<|{role}|>" for role in ROLES))
# A role's mark is one token and stands directly before the content: no merge can cross it, whatever the content starts with.
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Tokens that tokenizers keep in reserve, any of which may serve as padding; in order of preference.
SPARE = ("<|pad|>", "<pad>", "[PAD]", "<|endoftext|>", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<unk>")
# Prompts that a template may treat apart: it may rewrite earlier answers. What it does with a system message, `encode` looks at.
PROBES = {"a first question": PROMPT, "an earlier answer": PROMPT + ANSWER + MORE}


def from_scratch(pairs: Iterable[Pair], size: int, max_length: int) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer of at most `size` tokens, trained on the pairs' text; any text can be written with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(pairs), trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, model_max_length=max_length)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    made.chat_template = TEMPLATE
    return made


def _texts(pairs: Iterable[Pair]) -> Iterator[str]:
    """Every message's text, both sides alike, so that no side is cut into finer pieces than the other."""
    for pair in pairs:
        for message in (*pair.prompt, *pair.chosen, *pair.rejected):
            yield message["content"]


def check(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Refuse a tokenizer that would train wrongly, with what to do about it; give it a padding of its own if it lacks one."""
    for name, prompt in PROBES.items():
        _require_stable(tokenizer, source, name, prompt)
    if not closes(tokenizer):
        raise UserError(
            f"start.model.source: {source}",
            "a chat template that closes no answer, and a tokenizer without a token for an end",
            "an end by which the model learns to stop",
            "name an eos_token in tokenizer_config.json",
        )
    set_padding(tokenizer, source)


def _require_stable(tokenizer: PreTrainedTokenizerBase, source: str, name: str, prompt: Messages) -> None:
    """The template must render prompt and answer as the prompt's own rendering and then the answer."""
    try:
        before, whole = chat_templates.both(tokenizer, prompt)
    except chat_templates.errors() as error:
        raise UserError(
            f"start.model.source: {source}",
            f"a chat template that fails: {error}",
            "one that renders a chat",
            "correct it, or name another in start.chat_template.file",
        ) from error
    if not whole.startswith(before) or ANSWER[0]["content"] not in whole[len(before) :]:
        raise UserError(
            f"start.model.source: {source}",
            f"a chat template that ends a prompt of {name} with {before[-40:]!r} but goes on otherwise when an answer follows",
            "a template whose prompt is the beginning of prompt and answer",
            "name a template that does so in start.chat_template.file",
        )


def set_padding(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Give the tokenizer a padding token that does not end an answer."""
    ends = {*end_tokens(tokenizer), *closing_tokens(tokenizer)}
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in ends:
        return
    vocabulary = tokenizer.get_vocab()
    for token in SPARE:
        if vocabulary.get(token, tokenizer.eos_token_id) not in ends:
            tokenizer.pad_token = token
            return
    raise UserError(
        f"start.model.source: {source}",
        f"padding that equals the end of an answer ({tokenizer.eos_token!r}), and no spare token for it",
        "one of " + ", ".join(SPARE) + " in the vocabulary",
        "add a padding token to the tokenizer and save it beside the model",
    )

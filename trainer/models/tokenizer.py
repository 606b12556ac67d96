"""Tokenizers: one made from scratch, and the checks that any tokenizer must pass before a step is spent on it.

The checks: there is a chat template; it renders a prompt the same way whether or not an answer follows (else the
model learns in a context that it never meets again); padding is not the token that ends an answer (else a
trainer that masks padding also masks the end, and the model never learns to stop).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tasks.common.vocabulary.roles import ROLES
from tasks.core.errors import UserError
from trainer.data.release_reader import Messages, Pair
from trainer.models import typed

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
SYSTEM: Messages = [{"role": "system", "content": "You are brief."}]
PROMPT: Messages = [{"role": "user", "content": "How long do I boil rice?"}]
ANSWER: Messages = [{"role": "assistant", "content": "About 12 minutes."}]
MORE: Messages = [{"role": "user", "content": "And brown rice?"}]
# Prompts that a template may treat apart: it may add a system message, refuse one, or rewrite earlier answers.
PROBES = {"a first question": PROMPT, "a system message": SYSTEM + PROMPT, "an earlier answer": PROMPT + ANSWER + MORE}


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
    if not tokenizer.chat_template:
        raise UserError(
            f"start.model.source: {source}",
            "a tokenizer without chat template",
            "a chat model",
            "take the model's instruct or chat version, or put a chat_template.jinja beside its tokenizer",
        )
    check_prefix(tokenizer, source)
    set_padding(tokenizer, source)


def check_prefix(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """The template must render prompt and answer as the prompt's own rendering and then the answer."""
    for name, prompt in PROBES.items():
        try:
            before = typed.rendered(tokenizer, prompt, add_generation_prompt=True)
            whole = typed.rendered(tokenizer, prompt + ANSWER)
        except template_errors() as error:
            if prompt[0]["role"] == "system":  # some models know none; a pair that has one is told of when it is read
                continue
            raise UserError(
                f"start.model.source: {source}", f"a chat template that fails: {error}", "one that renders a chat", "correct it"
            ) from error
        if not whole.startswith(before) or ANSWER[0]["content"] not in whole[len(before) :]:
            raise UserError(
                f"start.model.source: {source}",
                f"a chat template that ends a prompt of {name} with {before[-40:]!r} but goes on otherwise when an answer follows",
                "a template whose prompt is the beginning of prompt and answer",
                "edit the chat_template.jinja beside the tokenizer (thinking stubs are the usual cause)",
            )


def template_errors() -> tuple[type[Exception], ...]:
    """What a chat template raises that cannot be rendered: jinja's own errors, and whatever its expressions do."""
    from jinja2 import TemplateError

    return TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError


def set_padding(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Give the tokenizer a padding token that does not end an answer."""
    ends = {tokenizer.eos_token_id, *closing_tokens(tokenizer)}
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


def closing_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids with which the template closes an answer."""
    whole = typed.rendered(tokenizer, PROMPT + ANSWER)
    content = ANSWER[0]["content"]
    closing_tokens: list[int] = tokenizer(whole[whole.rindex(content) + len(content) :], add_special_tokens=False)["input_ids"]
    return closing_tokens

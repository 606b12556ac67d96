"""chat: try a saved model at the keyboard, or with one question from a script.

In: a model (a folder, or whatever `start.model.source` may name), lines from standard input. Out: its answers on standard output,
word by word as they are made. The model's own chat template writes the conversation, as in training.

Where the conversation outgrows the model, its oldest questions and answers are forgotten, and a line on standard error says so.
Ctrl-C ends an answer, or at the prompt the chat; so does Ctrl-D. The same seed and the same lines give the same answers.

    pairwright chat --model DIR
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tasks.core import visible
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase, TextStreamer
    from transformers._typing import GenerativePreTrainedModel

    from trainer.data.release_reader import Messages

HELP = "/reset forgets the conversation, /quit ends it"


@dataclass(frozen=True)
class Settings:
    """How answers are written."""

    model: str
    system: str | None
    max_new_tokens: int
    temperature: float  # 0 always takes the likeliest token
    seed: int


@dataclass
class Chat:
    """One conversation with one model."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: Settings
    history: Messages = field(default_factory=list)  # without the system message

    def reset(self) -> None:
        """Forget what was said."""
        self.history = []

    def ask(self, question: str) -> None:
        """Write the answer to standard output and keep both; an answer that is broken off is kept as far as it came."""
        history = [*self.history, {"role": "user", "content": question}]
        prompt, forgotten = self._fitting(history)
        if forgotten:
            _note(f"the conversation is longer than the model can read: its first {forgotten} messages are forgotten")
        streamer = _streamer(self.tokenizer)
        try:
            self._generate(prompt, streamer)
        except KeyboardInterrupt:
            streamer.end()
        self.history = [*history[forgotten:], {"role": "assistant", "content": "".join(streamer.parts).strip()}]

    def _fitting(self, history: Messages) -> tuple[BatchEncoding, int]:
        """Tokens of the conversation and how many of its first messages had to go so that an answer has room."""
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", sys.maxsize)
        for forgotten in range(0, len(history), 2):
            prompt = self._prompt(history[forgotten:])
            if prompt["input_ids"].shape[1] + self.settings.max_new_tokens <= most:
                return prompt, forgotten
        found = f"{prompt['input_ids'].shape[1]} tokens and {self.settings.max_new_tokens} more for an answer"
        raise UserError("question", found, f"at most {most} together", "ask in fewer words, or lower --max-new-tokens")

    def _prompt(self, history: Messages) -> BatchEncoding:
        system = [{"role": "system", "content": self.settings.system}] if self.settings.system else []
        given = self.tokenizer.apply_chat_template(system + history, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        return cast("BatchEncoding", given).to(self.model.device)

    def _generate(self, prompt: BatchEncoding, streamer: TextStreamer) -> None:
        sampling = {"do_sample": True, "temperature": self.settings.temperature} if self.settings.temperature else {"do_sample": False}
        cast("GenerativePreTrainedModel", self.model).generate(
            **prompt,
            **sampling,
            max_new_tokens=self.settings.max_new_tokens,
            streamer=streamer,
            eos_token_id=self._ends(),
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def _ends(self) -> list[int]:
        """Tokens that end an answer: the tokenizer's, the model's, and the one with which the template closes an answer."""
        from trainer.data.chat_templates import end_tokens

        known = self.model.generation_config.eos_token_id
        ends = {self.tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])}
        ends |= set(end_tokens(self.tokenizer))
        return sorted(end for end in ends if end is not None)


def begin(settings: Settings) -> Chat:
    """A chat with a model that is there and has a chat template; a UserError otherwise."""
    from trainer.models import model_io, runtime, typed

    runtime.prepare(len(os.sched_getaffinity(0)), settings.seed, offline=not model_io.is_hub_name(settings.model))
    where = f"--model {settings.model}"
    model, tokenizer = model_io.load(settings.model, where)
    if not tokenizer.chat_template:
        raise UserError(where, "a tokenizer without chat template", "a chat model", "take the instruct or chat version")
    _require_template(tokenizer, where)
    return Chat(typed.evaluating(model), tokenizer, settings)


def _require_template(tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    """A UserError where the chat template is broken; one that only trains wrongly will do here."""
    from trainer.data import chat_templates

    try:
        chat_templates.closing_tokens(tokenizer)
    except chat_templates.errors() as error:
        raise UserError(where, f"a chat template that fails: {error}", "one that renders a chat", "correct chat_template.jinja") from error


def talk(settings: Settings, question: str | None = None) -> None:
    """Answer one question, or all lines of standard input."""
    chat = begin(settings)
    if question is not None:
        chat.ask(question)
        return
    _note(HELP)
    for line in _lines():
        if line == "/quit":
            return
        if line == "/reset":
            chat.reset()
        elif line.startswith("/"):
            _note(HELP)
        elif line:
            _answer(chat, line)


def _answer(chat: Chat, line: str) -> None:
    """One answer; a question that is too long ends nothing."""
    try:
        chat.ask(line)
    except UserError as error:
        _note(str(error))


def _lines() -> Iterator[str]:
    """What is typed, until Ctrl-D or Ctrl-C."""
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            if sys.stdin.isatty():
                sys.stdout.write("\n")
            return


def _streamer(tokenizer: PreTrainedTokenizerBase) -> Any:  # noqa: ANN401
    """A streamer that writes words as they are whole, and keeps them."""
    from transformers import TextStreamer

    class RecordingStreamer(TextStreamer):
        """Keeps what it writes."""

        def __init__(self) -> None:
            super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
            self.parts: list[str] = []

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            self.parts.append(text)
            sys.stdout.write(visible.lines(text) + ("\n" if stream_end else ""))
            sys.stdout.flush()

    return RecordingStreamer()


def _note(line: str) -> None:
    sys.stderr.write(visible.line(line) + "\n")
    sys.stderr.flush()

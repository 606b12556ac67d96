"""`pairwright chat`: talk to a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands.shared import command

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    chat = command(commands, "chat", talk, "talk to a trained model, or to any other that start.model.source may name", anywhere=True)
    chat.add_argument("--model", metavar="DIR", required=True, help="the model's folder")
    chat.add_argument("--prompt", metavar="TEXT", help="answer this and end")
    chat.add_argument("--system", metavar="TEXT", help="a system message before the conversation")
    chat.add_argument("--max-new-tokens", type=_natural, default=200, metavar="N", help="longest answer (default %(default)s)")
    chat.add_argument("--temperature", type=_temperature, default=0.7, metavar="T", help="0 takes the likeliest word (default %(default)s)")
    chat.add_argument("--seed", type=_seed, default=0, help="the same seed gives the same answers (default %(default)s)")


def talk(given: argparse.Namespace) -> None:
    """Chat with a model."""
    from trainer import chat

    chat.talk(chat.Settings(given.model, given.system, given.max_new_tokens, given.temperature, given.seed), given.prompt)


def _natural(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 to {2**32 - 1}")
    return int(text)


def _temperature(text: str) -> float:
    if not 0 <= (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no temperature")
    return value

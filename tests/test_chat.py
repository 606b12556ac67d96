"""`pairwright chat`, in a process of its own, as at a keyboard and as in a script."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from tests.builders import releases
from tests.conftest import ROOT
from trainer import chat
from trainer.data import release_reader
from trainer.models import model_io, saving

COMMAND = [sys.executable, "-m", "flows.cli", "chat", "--model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that has learned nothing: it never ends an answer by itself."""
    import torch

    rows = releases.planted({"train": 40})
    pairs = [release_reader.Pair(**{name: row[name] for name in release_reader.COLUMNS}) for row in rows]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model, made = model_io.make(pairs, model_io.Size(400, 32, 64, 1, 2, 128))
        head = torch.randn_like(model.lm_head.weight)  # one of its own: the shared one would repeat the last token for ever
    head[: len(made.added_tokens_decoder)] = 0  # ends and roles, which are not written, weigh less than the best of the others
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(head)
    path = tmp_path_factory.mktemp("chat") / "model"
    model_io.fit(model, made, 128)
    saving.save(model, made, path)
    return path


@pytest.fixture(scope="module")
def talked(folder: Path) -> subprocess.CompletedProcess[str]:
    """What one conversation from a pipe said."""
    lines = ["my router does not start", "and now?", "/reset", "my router does not start", "", "/nonsense", "x" * 999, "/quit", "unheard"]
    return say(folder, *lines, options=("--max-new-tokens", "12", "--temperature", "0"))


def say(model: Path, *lines: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    given = "".join(line + "\n" for line in lines)
    return subprocess.run([*COMMAND, str(model), *options], cwd=ROOT, input=given, capture_output=True, text=True, check=False)


def test_answers_every_line_and_forgets_on_reset(talked: subprocess.CompletedProcess[str]) -> None:
    assert talked.returncode == 0, talked.stderr
    first, second, again = talked.stdout.splitlines()
    assert first == again, "after /reset the same question is the first one again"
    assert second != first


def test_says_its_commands_and_what_does_not_fit_on_stderr(talked: subprocess.CompletedProcess[str]) -> None:
    assert talked.stderr.count("/reset forgets the conversation, /quit ends it") == 2, "at the start, and for an unknown command"
    assert "question: found" in talked.stderr
    assert "at most 128 together" in talked.stderr
    assert "Traceback" not in talked.stderr


def test_history_reaches_the_model(folder: Path) -> None:
    settings = chat.Settings(str(folder), "Be brief.", 8, 0.0, 0)
    talk = chat.Chat(*model_io.load(str(folder)), settings)
    talk.ask("one")
    talk.ask("two")
    prompt, forgotten = talk._fitting([*talk.history, {"role": "user", "content": "three"}])
    text = cast("str", talk.tokenizer.decode(prompt["input_ids"][0]))
    assert text.startswith("<|system|>Be brief.<|end|><|user|>one<|end|><|assistant|>")
    assert text.endswith("<|end|><|user|>three<|end|><|assistant|>")
    assert forgotten == 0


def test_a_long_conversation_forgets_its_beginning_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk = chat.Chat(*model_io.load(str(folder)), chat.Settings(str(folder), None, 20, 0.0, 0))
    for number in range(4):
        talk.ask(f"my router does not start, number {number}")
    assert "its first 2 messages are forgotten" in capsys.readouterr().err
    assert talk.history[0]["content"] != "my router does not start, number 0"


@pytest.mark.slow
def test_one_question_from_a_script_repeats_with_its_seed(folder: Path) -> None:
    options = ("--prompt", "my router", "--max-new-tokens", "8", "--temperature", "1.5", "--seed")
    first, again, other = (say(folder, options=(*options, seed)).stdout for seed in ("3", "3", "4"))
    assert first.strip()
    assert first == again
    assert first != other


def test_mistakes_are_one_line(folder: Path, tmp_path: Path) -> None:
    done = say(tmp_path, options=("--prompt", "x"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: --model {tmp_path}: found a folder without config.json")
    assert len(done.stderr.splitlines()) == 1
    done = say(folder, options=("--max-new-tokens", "0"))
    assert done.returncode == 2
    assert "0 is below 1" in done.stderr


def test_a_model_without_template_is_refused(folder: Path, tmp_path: Path) -> None:
    model, made = model_io.load(str(folder))
    made.chat_template = None
    saving.save(model, made, tmp_path)
    done = say(tmp_path, options=("--prompt", "x"))
    assert "found a tokenizer without chat template" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_at_a_keyboard_answers_stream_and_both_keys_end_the_chat_cleanly(folder: Path) -> None:
    for key in (b"\x03", b"\x04"):  # Ctrl-C, Ctrl-D
        keyboard, terminal = pty.openpty()
        talk = subprocess.Popen(
            [*COMMAND, str(folder), "--max-new-tokens", "5"],
            cwd=ROOT,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        seen = until(keyboard, b"\n> ")
        os.write(keyboard, b"my router\n")
        seen += until(keyboard, b"\n> ")
        time.sleep(0.5)
        if key == b"\x03":
            interrupt(talk)  # the terminal is not the session's own, so the key itself is only a letter
        else:
            os.write(keyboard, key)
        assert talk.wait(180) == 0
        assert b"Traceback" not in seen
        os.close(keyboard)


def interrupt(talk: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Ctrl-C; once more where the first was lost, as a person would: between a prompt and the read behind it, or in a destructor."""
    talk.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        talk.wait(45)
        return
    talk.send_signal(signal.SIGINT)


@pytest.mark.slow
def test_ctrl_c_ends_an_answer_but_not_the_chat(folder: Path, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    model, made = model_io.load(str(folder))
    model.config.max_position_embeddings = 10**6
    assert isinstance(model, LlamaForCausalLM)
    saving.save(model, made, tmp_path)
    talk = subprocess.Popen(
        [*COMMAND, str(tmp_path), "--max-new-tokens", "100000"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert talk.stdin
    assert talk.stdout
    talk.stdin.write("my router\n")
    talk.stdin.flush()
    assert talk.stdout.read(1), "the answer has begun"
    talk.stdin.write("/quit\n")
    talk.stdin.flush()
    interrupt(talk)
    assert talk.wait(180) == 0


def until(keyboard: int, mark: bytes, seconds: float = 120) -> bytes:
    """What the other side of a terminal wrote, up to and with the mark."""
    seen, end = b"", time.monotonic() + seconds
    while mark not in seen and time.monotonic() < end:
        seen += os.read(keyboard, 1024)
    assert mark in seen
    return seen

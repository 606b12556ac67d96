"""Copies and no copies planted in six kinds of writing, held against what the stages make of them.

    python -m tests.benchmarks.scripts [--chats 400] [--seed 0] [--until pair]

Of each script a small language is drawn (words, letters or lines of code of a seeded grammar), and in it chats with two answers to their
last question and a choice between these. Some are planted again as copies: exact, with other blanks and widths, with a word changed,
and as they were before they ended. Others only look like copies: they share a long system prompt, a document, a text to translate, a long
request with another link, figure or name. For each script the table tells the F1 of the removals (of each group of copies all but one
must go, and nothing else), the copies that stayed and the others that went, by kind; and with `--until pair` how many pairs stand
under a prompt under which nobody made that choice.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.common.text_identity import same_answer, same_question
from tasks.core import pipeline
from tests.benchmarks.corpus import scratch_project
from tests.builders.projects import run_stages
from tests.conftest import ROOT

STAGES = ("ingest", "clean", "dedupe", "validate", "aggregate", "split", "decontaminate", "augment", "rebalance", "pair")
LANGUAGES = ("French", "German", "Polish", "Turkish")


@dataclass(frozen=True)
class Script:
    """How one script is written."""

    name: str
    piece: Callable[[random.Random], str]  # a word, or a letter where words have no blanks between
    between: str
    stop: str  # at the end of a sentence
    translate: str  # a request to translate, with {} for the language

    def sentence(self, draw: random.Random, pieces: int) -> str:
        """So many pieces."""
        return self.between.join(self.piece(draw) for _ in range(pieces)) + self.stop

    def text(self, draw: random.Random, sentences: int) -> str:
        """Some sentences of 8 to 16 pieces."""
        return (" " if self.between else "").join(self.sentence(draw, draw.randint(8, 16)) for _ in range(sentences))


def syllables(draw: random.Random) -> str:
    """A word of a made-up language in Latin letters."""
    return "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(draw.randint(1, 3)))


def letters(*ranges: tuple[int, int]) -> Callable[[random.Random], str]:
    """One letter out of these ranges."""
    every = [chr(code) for first, last in ranges for code in range(first, last + 1)]
    return lambda draw: draw.choice(every)


def thai(draw: random.Random) -> str:
    """A syllable: consonant, vowel, now and then a tone mark and a last consonant."""
    consonant = draw.choice("กขคงจชซญดตถทนบปผพมยรลวสหอ")
    return consonant + draw.choice("าิีุู") + draw.choice(("", "", "่", "้")) + draw.choice(("", "น", "ก", "ง"))


def code(draw: random.Random) -> str:
    """A line of a program."""
    name, other = syllables(draw), syllables(draw)
    lines = (
        f"{name} = {other}({draw.randint(0, 99)})",
        f"if {name} > {draw.randint(0, 9)}:",
        f"    return {other}[{name}]",
        f"def {name}({other}):",
    )
    return draw.choice((*lines, f"for {name} in {other}.{syllables(draw)}():", f"    {name} += {other} * {draw.randint(2, 9)}"))


SCRIPTS = (
    Script("english", syllables, " ", ".", "Translate the following text into {}:"),
    Script("chinese", letters((0x4E00, 0x4FFF), (0x5200, 0x53FF), (0x6700, 0x68FF)), "", "。", "请把下面这段文字翻译成{}："),
    Script("japanese", letters((0x3042, 0x3093), (0x30A2, 0x30F3), (0x65E5, 0x667F)), "", "。", "次の文章を{}に翻訳してください："),
    Script("thai", thai, "", " ", "ช่วยแปลข้อความต่อไปนี้เป็นภาษา {} :"),
    Script("korean", letters((0xAC00, 0xAEFF)), " ", ".", "다음 글을 {} 말로 옮겨 주세요:"),
    Script("code", code, "\n", "\n", "Translate the comments of this program into {}:"),
)


@dataclass(frozen=True)
class Chat:
    """A chat whose last question has two answers, of which somebody preferred the first."""

    turns: tuple[tuple[str, str], ...]  # role and text, up to the last question
    better: str
    worse: str
    kind: str
    root: str  # chats of one root are copies of each other
    user: str
    done: bool = True  # False: exported before the last question was answered


class Planted:
    """Chats of one script, with what is a copy of what."""

    def __init__(self, script: Script, seed: int, count: int) -> None:
        self.script, self.draw = script, random.Random(f"{script.name} {seed}")
        self.chats: list[Chat] = []
        for number in range(count):
            self.plant(number)

    def plant(self, number: int) -> None:
        """One chat, and of some a copy or two."""
        chat = self.fresh(number)
        self.chats.append(chat)
        if number % 2 == 0:
            kinds = [kind for kind in COPIES if self.draw.random() < 0.3]
            self.chats += [COPIES[kind](self, chat) for kind in kinds]
        if number % 5 == 0:
            kind = list(LOOKALIKES)[number // 5 % len(LOOKALIKES)]
            self.chats += [
                replace(other, kind=kind, root=f"{chat.root}/{kind}{place}") for place, other in enumerate(LOOKALIKES[kind](self))
            ]

    def fresh(self, number: int) -> Chat:
        """A chat of one to three questions that shares nothing with others."""
        say = self.script.text
        turns = [("user", say(self.draw, 2))]
        for _ in range(self.draw.randint(0, 2)):
            turns += [("assistant", say(self.draw, 3)), ("user", say(self.draw, 2))]
        return self.chat(turns, "base", f"{self.script.name}{number}")

    def chat(self, turns: list[tuple[str, str]], kind: str = "", root: str = "") -> Chat:
        """A chat of these turns, with answers of its own."""
        say = self.script.text
        return Chat(tuple(turns), say(self.draw, 4), say(self.draw, 4), kind, root, f"p{self.draw.randint(0, 10**9)}")

    def edited(self, text: str) -> str:
        """The text with one piece changed, in the middle of it."""
        pieces = list(text) if not self.script.between else text.split(self.script.between)
        pieces[len(pieces) // 2] = self.script.piece(self.draw)
        return self.script.between.join(pieces)


def exact(planted: Planted, chat: Chat) -> Chat:
    """The same once more, by another person."""
    return replace(chat, kind="exact", user=f"q{planted.draw.randint(0, 10**9)}")


def respelt(planted: Planted, chat: Chat) -> Chat:
    """The same in other blanks, and in full-width signs."""
    turns = tuple((role, re.sub(r" ", "\u3000 ", text).replace(".", "\uff0e") + "\u200b") for role, text in chat.turns)
    return replace(exact(planted, chat), turns=turns, kind="respelt")


def near(planted: Planted, chat: Chat) -> Chat:
    """One word of the answers is another."""
    return replace(exact(planted, chat), better=planted.edited(chat.better), kind="near")


def earlier(planted: Planted, chat: Chat) -> Chat:
    """What the same person's export held before the last answers came; at least one answer long."""
    if len(chat.turns) < 3:
        return exact(planted, chat)
    return replace(chat, turns=chat.turns[:-1], kind="earlier", done=False)


def systems(planted: Planted) -> Iterator[Chat]:
    """One long system prompt, and short questions."""
    prompt = planted.script.text(planted.draw, 25)
    for _ in range(3):
        yield planted.chat([("system", prompt), ("user", planted.script.sentence(planted.draw, 6))])


def documents(planted: Planted) -> Iterator[Chat]:
    """One long document, and a question about it."""
    document = planted.script.text(planted.draw, 25)
    for _ in range(3):
        yield planted.chat([("user", f"{document}\n\n{planted.script.sentence(planted.draw, 6)}")])


def translations(planted: Planted) -> Iterator[Chat]:
    """One long text to translate, each time into another language."""
    text = planted.script.text(planted.draw, 20)
    for language in LANGUAGES[:3]:
        yield planted.chat([("user", f"{planted.script.translate.format(language)}\n\n{text}")])


def linked(planted: Planted) -> Iterator[Chat]:
    """One long request about different pages, all with the same answers: that it cannot be read."""
    request = planted.script.text(planted.draw, 8)
    told = planted.chat([("user", "")])
    for _ in range(3):
        link = f"https://{syllables(planted.draw)}.example/{planted.draw.randint(1000, 9999)}?page={planted.draw.randint(1, 9)}"
        turns = (("user", f"{request} {link}"),)
        yield replace(told, turns=turns, user=f"p{planted.draw.randint(0, 10**9)}")


def figures(planted: Planted) -> Iterator[Chat]:
    """One long request with another figure, and answers of their own."""
    request = planted.script.text(planted.draw, 8)
    for _ in range(3):
        yield planted.chat([("user", f"{request} {planted.draw.randint(100, 99999)}")])


def greetings(planted: Planted) -> Iterator[Chat]:
    """One first question and its one answer in many chats, which then go on each in its way."""
    opening = [("user", planted.script.sentence(planted.draw, 5)), ("assistant", planted.script.text(planted.draw, 6))]
    for _ in range(3):
        yield planted.chat([*opening, ("user", planted.script.text(planted.draw, 1))])


def again(planted: Planted) -> Iterator[Chat]:
    """One question, asked by several, each time with other answers."""
    question = planted.script.text(planted.draw, 12)
    for _ in range(3):
        yield planted.chat([("user", question)])


COPIES: dict[str, Callable[[Planted, Chat], Chat]] = {"exact": exact, "respelt": respelt, "near": near, "earlier": earlier}
LOOKALIKES: dict[str, Callable[[Planted], Iterator[Chat]]] = {
    "system": systems,
    "document": documents,
    "translate": translations,
    "link": linked,
    "figure": figures,
    "greeting": greetings,
    "again": again,
}


def write(raw: Path, chats: list[Chat]) -> None:
    """The chats as one JSONL log; conversation n is chat n."""
    raw.mkdir(parents=True, exist_ok=True)
    (raw.parent / "erased").mkdir(exist_ok=True)
    with (raw / "planted.jsonl").open("w", encoding="utf-8") as out:
        for number, chat in enumerate(chats):
            messages = [{"id": f"m{place}", "role": role, "content": text} for place, (role, text) in enumerate(chat.turns)]
            last = {"parent_id": messages[-1]["id"], "role": "assistant"}
            if chat.done:
                messages += [{"id": name, "content": text, **last} for name, text in (("x", chat.better), ("y", chat.worse))]
            line = {"id": str(number), "user_id": chat.user, "messages": messages}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            if chat.done:
                act = {
                    "id": f"f{number}",
                    "conversation_id": str(number),
                    "kind": "choice",
                    "better": "x",
                    "worse": "y",
                    "user_id": chat.user,
                }
                out.write(json.dumps(act) + "\n")


@dataclass(frozen=True)
class Outcome:
    """What the stages made of one script's chats."""

    script: str
    chats: int
    f1: float
    stayed: Counter[str]  # copies that should have gone, by kind
    went: Counter[str]  # what should have stayed, by kind
    pairs: int
    foreign: int  # pairs under a prompt under which nobody made that choice

    def line(self) -> str:
        """A row of the table."""
        kinds = {"stayed": self.stayed, "went": self.went}
        notes = "; ".join(
            f"{name}: {', '.join(f'{kind} {count}' for kind, count in found.items())}" for name, found in kinds.items() if found
        )
        return f"{self.script:<10}{self.chats:>7,}{self.f1:>9.4f}{self.pairs:>8,}{self.foreign:>9,}  {notes}\n"


HEAD = f"{'script':<10}{'chats':>7}{'F1':>9}{'pairs':>8}{'foreign':>9}\n"


def measure(root: Path, script: Script, seed: int, count: int, until: str = "dedupe") -> Outcome:
    """Plant, run the stages in a scratch project below `root`, and compare."""
    planted = Planted(script, seed, count)
    scratch_project(root)
    write(root / "data" / "raw", planted.chats)
    run_stages(root, list(STAGES[: STAGES.index(until) + 1]), PAIRWRIGHT_SALT="planted")
    kept = table(root, "dedupe", "turns", "conversation_id")["conversation_id"]
    stay = {int(name.rpartition(":")[2]) for name in kept}
    pairs = judged(root, planted.chats) if until == "pair" else []
    return outcome(script.name, planted.chats, stay, pairs)


def outcome(script: str, chats: list[Chat], stay: set[int], pairs: list[bool]) -> Outcome:
    """The chats that stay and the pairs (whether each was made under its prompt), as figures."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, chat in enumerate(chats):
        groups[chat.root].append(number)
    expected, removed, right = sum(len(group) - 1 for group in groups.values()), len(chats) - len(stay), 0
    stayed, went = Counter[str](), Counter[str]()
    for group in groups.values():
        gone = [number for number in group if number not in stay]
        right += min(len(group) - 1, len(gone))
        stayed.update(chats[number].kind for number in [number for number in group if number in stay][1:])
        went.update(chats[number].kind for number in gone[len(group) - 1 :])
    return Outcome(script, len(chats), 2 * right / max(expected + removed, 1), stayed, went, len(pairs), sum(not known for known in pairs))


def judged(root: Path, chats: list[Chat]) -> list[bool]:
    """Of each pair that is nobody's variant whether someone made this choice under this prompt."""
    made = {(spelt([text for _, text in chat.turns]), plain(chat.better), plain(chat.worse)) for chat in chats if chat.done}
    rows = table(root, "pair", "pairs", "prompt", "chosen", "rejected", "augmented_from")
    own = [row for row in zip(*rows.values(), strict=True) if row[3] is None]
    found = [
        (spelt([message["content"] for message in prompt]), *(plain(side[0]["content"]) for side in sides)) for prompt, *sides, _ in own
    ]
    return [row in made for row in found]


def spelt(texts: list[str]) -> str:
    """A prompt as it compares: links are redacted, and full-width signs repaired or not."""
    return "\n".join(
        " ".join(same_question(re.sub(r"https?://\S+", "[URL]", re.sub(r"\[URL_\d+\]", "[URL]", text))).split()) for text in texts
    )


def plain(text: str) -> str:
    """An answer as it compares."""
    return same_answer(text)


def table(root: Path, stage: str, name: str, *columns: str) -> dict[str, list[Any]]:
    """Columns of a table that a stage wrote."""
    found: dict[str, list[Any]] = pq.read_table(root / pipeline.stage(stage, ROOT).output / name, columns=list(columns)).to_pydict()
    return found


def main() -> int:
    """Print the table; 1 where a copy or a choice went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scripts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--chats", type=int, default=400, help="of each script, before copies and lookalikes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", default="pair", choices=STAGES[2:])
    parser.add_argument("--only", nargs="+", default=[script.name for script in SCRIPTS])
    asked = parser.parse_args()
    sys.stdout.write(HEAD)
    found = []
    for script in SCRIPTS:
        if script.name in asked.only:
            with tempfile.TemporaryDirectory(prefix="pairwright-scripts-") as folder:
                found.append(measure(Path(folder) / "project", script, asked.seed, asked.chats, asked.until))
            sys.stdout.write(found[-1].line())
            sys.stdout.flush()
    return int(any(one.f1 < 0.999 or one.foreign for one in found))


if __name__ == "__main__":
    sys.exit(main())

"""Make the sample logs in `data/raw/sample/`: a help desk's conversations with every kind of feedback, and known truth.

    python data/make_sample.py [FOLDER]

Without FOLDER the digests in `tasks/common/sample.json`, by which a run knows the sample, are written, too.
Everything follows from SEED: two runs write the same bytes. Three files in three formats come out (plain JSONL, an Open
WebUI export with its feedback export, Chatbot Arena battles). Planted, and told by `make()`:

- a preference: answers carry independent features (WEIGHTS), people like what scores higher, and err in ERROR of the acts;
  the length of an answer tells nothing, because neutral sentences are added at random;
- personal data and keys (`Sample.secrets`), exact and near copies, unreadable records, mojibake, HTML remains,
  unfinished answers and error banners; a strong imbalance of topics and languages.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from sample_formats import START, Json, as_battle, as_jsonl, as_webui

DIGESTS = Path(__file__).parent.parent / "tasks" / "common" / "sample.json"
SEED = 20_260_101
CONVERSATIONS = 3_400
ERROR = 0.10
TOPICS = {"billing": 46, "login": 22, "shipping": 16, "returns": 9, "warranty": 5, "accessibility": 2}
LANGUAGES = {"en": 74, "es": 12, "de": 9, "fr": 5}
MODELS = ("desk-7b", "desk-13b", "desk-13b-tuned")
# What people like, and how much. Each feature is drawn on its own, so no single one explains the votes.
WEIGHTS = {"steps": 1.0, "names_topic": 1.0, "thanks": 0.7, "offers_more": 0.6, "hedges": -0.9, "blames": -1.2}

BANNER = "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**"

SAYINGS: Json = yaml.safe_load((Path(__file__).parent / "sample_phrases.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Answer:
    """One assistant's message with its planted worth."""

    text: str
    worth: float
    model: str


@dataclass
class Talk:
    """One conversation before it is written in a format: `messages` of (role, text), then the judged answers."""

    name: str
    user: str
    topic: str
    language: str
    created_at: int
    messages: list[tuple[str, str]]
    answers: list[Answer]
    feedback: list[Json] = field(default_factory=list)


@dataclass
class Sample:
    """The files' bytes by name, and the truth about them."""

    files: dict[str, bytes] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    exact_copies: int = 0
    near_copies: int = 0
    unreadable: int = 0


class Maker:
    """Draws conversations one after the other from one seeded source of chance."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)
        self.sample = Sample()
        self.users = [f"customer-{number}" for number in range(CONVERSATIONS)]

    def talk(self, number: int) -> Talk:
        """One conversation: a question, perhaps a follow-up, and one to three answers to the last message."""
        chance = self.chance
        topic, language = self.draw(TOPICS), self.draw(LANGUAGES)
        messages: list[tuple[str, str]] = []
        if number % 97 == 0:
            messages = [("user", "Hi"), ("assistant", "Hello, how can I help?")]
        messages.append(("user", self.question(topic, language)))
        if chance.random() < 0.3:
            messages.append(("assistant", self.answer(topic, language).text))
            messages.append(("user", self.fill(chance.choice(SAYINGS["follow_ups"][language]), language, topic)))
        answers = self.answers(topic, language, chance.choices((1, 2, 3), (25, 55, 20))[0])
        # One person in eight writes more than once; nobody writes often enough to tie the splits together.
        user = self.users[number - 1] if number % 8 == 0 and number else self.users[number]
        return Talk(f"desk-{number:05d}", user, topic, language, START + number * 1_700, messages, answers)

    def draw(self, weights: dict[str, int]) -> str:
        """One key, by weight."""
        return self.chance.choices(list(weights), list(weights.values()))[0]

    def question(self, topic: str, language: str) -> str:
        """A first message; a few of them carry personal data or a key."""
        by_topic = SAYINGS["questions"][language]
        text = self.fill(self.chance.choice(by_topic.get(topic) or by_topic["*"]), language, topic)
        return f"{text} {self.secret()}" if self.chance.random() < 0.09 else text

    def fill(self, template: str, language: str, topic: str) -> str:
        """The template with products, numbers and moments."""
        chance = self.chance
        return template.format(
            product=chance.choice(SAYINGS["products"]),
            when=chance.choice(SAYINGS["moments"][language]),
            topic=SAYINGS["topics"][language][topic],
            order=f"{chance.choice('ABCDEFGH')}{chance.randint(1000, 9999)}",
            n=chance.randint(11, 399),
            m=chance.randint(2, 99),
        )

    def answers(self, topic: str, language: str, count: int) -> list[Answer]:
        """Different answers to one prompt, with worths that differ."""
        found: list[Answer] = []
        while len(found) < count:
            new = self.answer(topic, language)
            if all(new.text != old.text and abs(new.worth - old.worth) > 0.55 for old in found):
                found.append(new)
        return found

    def answer(self, topic: str, language: str) -> Answer:
        """An answer whose features are drawn independently of each other and of its length."""
        chance, phrases = self.chance, SAYINGS["phrases"][language]
        has = {name: chance.random() < 0.5 for name in WEIGHTS}
        parts = [chance.choice(phrases[name]) for name in ("thanks", "names_topic") if has[name]]
        parts.append(chance.choice(phrases["steps" if has["steps"] else "plain"]))
        parts += [chance.choice(phrases[name]) for name in ("hedges", "blames", "offers_more") if has[name]]
        for filler in chance.sample(phrases["filler"], chance.randint(0, 3)):
            parts.insert(chance.randint(0, len(parts)), filler)
        if chance.random() < 0.01:
            parts.append(self.secret())
        worth = sum(weight for name, weight in WEIGHTS.items() if has[name])
        return Answer(" ".join(parts).format(topic=SAYINGS["topics"][language][topic]), worth, chance.choice(MODELS))

    def secret(self) -> str:
        """A sentence with one planted secret, which is noted."""
        chance = self.chance
        digits = "".join(chance.choices("0123456789", k=8))
        kind = chance.randrange(8)
        value, sentence = (
            (f"client{digits[:5]}@example.{chance.choice(('com', 'org', 'net'))}", "Write to {} please."),
            (f"+49 30 {digits[:4]} {digits[4:]}", "You can call {} today."),
            (_card("4" + digits + "".join(chance.choices("0123456789", k=6))), "The card is {} as before."),
            (_iban(digits + digits[::-1] + "42"), "Refund to {} please."),
            (f"81.{chance.randint(1, 254)}.{chance.randint(1, 254)}.{chance.randint(1, 254)}", "It happens from {} only."),
            ("sk-" + "".join(chance.choices("abcdefghijkmnpqrstuvwxyzABCDEFGH23456789", k=40)), "I use the key {} for it."),
            ("ghp_" + "".join(chance.choices("abcdefghijkmnpqrstuvwxyzABCDEFGH23456789", k=36)), "My token is {} by the way."),
            ("AKIA" + "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ234567", k=16)), "The access key {} stopped working."),
        )[kind]
        self.sample.secrets.append(value)
        return sentence.format(value)

    def erring(self) -> bool:
        """Whether this act of feedback says the opposite of what the answers are worth."""
        return self.chance.random() < ERROR

    def judge(self, talk: Talk) -> None:
        """Feedback on the answers, in one of the kinds that fit their number."""
        if self.chance.random() < 0.12:
            return
        count = len(talk.answers)
        kinds = {
            1: ("thumb", "edit", "rating", "copy", "report"),
            2: ("choice", "thumbs", "ratings", "regenerate"),
            3: ("ranking", "ratings", "choice"),
        }
        weights = {1: (60, 14, 16, 5, 5), 2: (40, 25, 20, 15), 3: (50, 30, 20)}
        getattr(self, "_" + self.chance.choices(kinds[count], weights[count])[0])(talk)

    def _act(self, talk: Talk, kind: str, **more: object) -> None:
        talk.feedback.append({"kind": kind, "user_id": talk.user, **more})

    def _thumb(self, talk: Talk) -> None:
        good = (talk.answers[0].worth > 0.4) != self.erring()
        self._act(talk, "thumb", answer=0, value=1 if good else -1)

    def _thumbs(self, talk: Talk) -> None:
        best, worst = self._order(talk)[0], self._order(talk)[-1]
        if self.erring():
            best, worst = worst, best
        self._act(talk, "thumb", answer=best, value=1)
        self._act(talk, "thumb", answer=worst, value=-1)

    def _rating(self, talk: Talk) -> None:
        self._act(talk, "rating", answer=0, value=self._stars(talk.answers[0].worth))

    def _ratings(self, talk: Talk) -> None:
        flip = -1 if self.erring() else 1
        for number, answer in enumerate(talk.answers):
            self._act(talk, "rating", answer=number, value=self._stars(0.4 + flip * (answer.worth - 0.4)))

    def _stars(self, worth: float) -> int:
        return min(5, max(1, round(3 + (worth - 0.4) * 1.1)))

    def _choice(self, talk: Talk) -> None:
        first, second = self.chance.sample(range(len(talk.answers)), 2)
        better, worse = (first, second) if talk.answers[first].worth > talk.answers[second].worth else (second, first)
        if self.erring():
            better, worse = worse, better
        tie = self.chance.random()
        value = 0 if tie < 0.07 else -1 if tie < 0.1 else 1
        self._act(talk, "choice", better=better, worse=worse, value=value)

    def _ranking(self, talk: Talk) -> None:
        order = self._order(talk)
        if self.erring():
            order.reverse()
        for rank, number in enumerate(order):
            self._act(talk, "ranking", answer=number, value=rank, scale=[0, len(order) - 1])

    def _regenerate(self, talk: Talk) -> None:
        order = self._order(talk)
        if self.erring():
            order.reverse()
        self._act(talk, "regenerate", better=order[0], worse=order[-1])

    def _edit(self, talk: Talk) -> None:
        phrases = SAYINGS["phrases"][talk.language]
        topic = SAYINGS["topics"][talk.language][talk.topic]
        text = " ".join(
            (
                phrases["thanks"][0],
                phrases["names_topic"][0].format(topic=topic),
                self.chance.choice(phrases["steps"]),
                phrases["offers_more"][0],
            )
        )
        self._act(talk, "edit", answer=0, text=text)

    def _copy(self, talk: Talk) -> None:
        self._act(talk, "copy", answer=0)

    def _report(self, talk: Talk) -> None:
        self._act(talk, "report", answer=0, text=f"rude. {self.secret()}")

    def _order(self, talk: Talk) -> list[int]:
        return sorted(range(len(talk.answers)), key=lambda number: -talk.answers[number].worth)


def _card(digits: str) -> str:
    """The 15 digits with their Luhn digit, in groups of four."""
    total = sum(sum(divmod(int(d) * (2 - place % 2), 10)) for place, d in enumerate(digits))
    number = digits + str(-total % 10)
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


def _iban(account: str) -> str:
    """A German IBAN over the 18 digits, with its check digits."""
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


def make() -> Sample:
    """The whole sample in memory."""
    maker = Maker()
    talks = [maker.talk(number) for number in range(CONVERSATIONS)]
    for talk in talks:
        maker.judge(talk)
    lines: list[Json] = []
    chats: list[Json] = []
    thumbs: list[Json] = []
    battles: list[Json] = []
    for number, talk in enumerate(talks):
        single_choice = [act["kind"] for act in talk.feedback] == ["choice"] and len(talk.messages) == 1
        if single_choice and number % 3 == 0:
            battles.append(as_battle(talk))
        elif number % 4 == 1 and all(act["kind"] == "thumb" for act in talk.feedback):
            chat, rows = as_webui(talk)
            chats.append(chat)
            thumbs += rows
        else:
            lines += as_jsonl(spoil(maker, talk))
    lines += copies(maker, talks)
    maker.sample.files = {
        "desk.jsonl": unreadable(maker, [_dump(line) for line in lines]),
        "webui-chats.json": _dump(chats) + b"\n",
        "webui-feedback.json": _dump(thumbs) + b"\n",
        "battles.jsonl": b"".join(_dump(line) + b"\n" for line in battles),
    }
    return maker.sample


def spoil(maker: Maker, talk: Talk) -> Talk:
    """Now and then the damage that real logs have: mojibake, HTML remains, an unfinished or failed first answer."""
    dice = maker.chance.random()
    role, text = talk.messages[0]
    if dice < 0.02:
        talk.messages[0] = (role, text.replace("?", "? Iâ€™m waiting."))
    elif dice < 0.04:
        talk.messages[0] = (role, f"<p>{text}</p><br/>Thanks &amp; bye")
    elif dice < 0.05 and not talk.feedback:
        talk.answers[0] = Answer(talk.answers[0].text[:30] + "▌", 0.0, talk.answers[0].model)
    elif dice < 0.06 and not talk.feedback:
        talk.answers[0] = Answer(BANNER, 0.0, talk.answers[0].model)
    return talk


def copies(maker: Maker, talks: list[Talk]) -> list[Json]:
    """Conversations once more, word for word or almost, each with its own name and a vote of another person."""
    records: list[Json] = []
    for number, talk in enumerate(maker.chance.sample(talks, 220)):
        near = number % 2 == 1 and len(" ".join(text for _, text in talk.messages).split()) > 12
        messages = list(talk.messages)
        if near:
            messages[-1] = ("user", messages[-1][1] + " Thanks")
        twin = Talk(f"copy-{number:05d}", f"visitor-{number}", talk.topic, talk.language, talk.created_at + 40, messages, talk.answers)
        maker._thumb(twin)
        records += as_jsonl(twin)
        maker.sample.near_copies += near
        maker.sample.exact_copies += not near
    return records


def unreadable(maker: Maker, lines: list[bytes]) -> bytes:
    """The lines with records among them that no reader can read."""
    broken = [
        b'{"id": "broken-1", "messages": [{"role": "user", "content": "cut o',
        b'{"id": "broken-2", "messages": "none"}',
        b'{"id": "broken-3", "messages": [{"role": "wizard", "content": "abracadabra"}]}',
        b'{"id": "broken-4", "messages": [{"role": "user", "content": "\xff\xfe latin"}]}',
        b"not json at all",
        b'{"conversation_id": "desk-00000", "kind": "thumb", "value": 1}',
    ]
    maker.sample.unreadable = len(broken)
    for line in broken:
        lines.insert(maker.chance.randrange(len(lines)), line)
    return b"\n".join(lines) + b"\n"


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def digests(sample: Sample) -> str:
    """What a run knows the sample by."""
    known = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in sample.files.items()}
    return json.dumps(known, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write the sample's files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "raw" / "sample")
    folder.mkdir(parents=True, exist_ok=True)
    sample = make()
    for name, content in sample.files.items():
        (folder / name).write_bytes(content)
    if len(sys.argv) == 1:
        DIGESTS.write_text(digests(sample), encoding="utf-8")
    sizes = {name: len(content) for name, content in sample.files.items()}
    sys.stdout.write(
        f"{folder}: {sizes}, {sum(sizes.values()) / 1e6:.2f} MB; {len(sample.secrets)} secrets, "
        f"{sample.exact_copies} exact and {sample.near_copies} near copies, {sample.unreadable} unreadable\n"
    )


if __name__ == "__main__":
    main()

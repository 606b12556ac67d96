"""Light rewordings of prompts, as people make them: seven kinds, each a pure function of the text and its number.

They are written without a look at how rewordings are found: 15 to 30 % of the words are changed (drawn anew for each text), or
what stands around and in what order, or how things are written.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

# A word and another for it, either way.
PAIRS = """
write/draft create/make explain/clarify describe/portray discuss/debate provide/supply give/offer show/display find/determine
compute/calculate return/output total/sum many/several number/count each/every how/what big/large small/little fast/quick
buy/purchase sell/trade begin/start end/finish help/assist need/require want/wish think/believe imagine/suppose consider/regard
use/employ example/instance story/tale essay/paper letter/note email/message company/firm business/enterprise job/occupation
work/labour student/pupil teacher/instructor child/kid children/kids people/folks man/guy woman/lady friend/buddy house/home
car/vehicle city/town country/nation money/cash price/cost dollars/bucks important/essential main/principal different/distinct
similar/alike difficult/hard simple/easy correct/right wrong/incorrect good/decent best/finest bad/poor new/fresh old/aged
happy/glad sad/unhappy idea/notion problem/issue question/query answer/reply reason/cause result/outcome effect/impact
change/alter improve/enhance increase/raise decrease/reduce compare/contrast choose/select list/enumerate summarize/condense
following/next given/stated below/underneath about/regarding between/among during/throughout before/prior after/following
because/since if/when but/yet also/too only/just function/method string/text array/vector integer/whole-number element/entry
value/figure input/argument code/script program/routine data/information set/collection check/verify remove/delete add/append
sort/order largest/biggest smallest/tiniest first/initial last/final left/remaining day/date week/seven-days month/thirty-days
year/twelve-months minutes/mins hours/hrs morning/a.m. night/evening food/meals water/liquid eat/consume drink/sip walk/stroll
run/jog drive/ride travel/journey visit/tour read/study speak/talk tell/inform ask/inquire say/state know/understand see/notice
look/glance get/obtain take/grab bring/carry keep/retain put/place leave/depart pay/spend earn/gain save/keep lose/forfeit
win/succeed play/perform game/match movie/film song/tune book/volume picture/image
"""
SWAPS = dict(pair.split("/") for pair in PAIRS.split())
SWAPS |= {other: word for word, other in SWAPS.items()}
SMALL = ("the", "a", "an", "of", "to", "in", "on", "for", "and", "is", "are", "was", "that", "this", "with", "as", "it", "by", "at", "from")
GREETINGS = (
    "Hi there! ",
    "Hello, could you help me with this one please? ",
    "Good morning. I have a task for you:\n\n",
    "ok so here is my question. ",
)
THANKS = (
    " Thanks a lot!",
    "\n\nPlease be thorough.",
    " I need it by tonight, thank you so much in advance.",
    "\n\nAnswer in a friendly tone.",
)
NAMES = ("Priya", "Tomasz", "Ingrid", "Kwame", "Yuki", "Leila", "Mateo", "Sven")
FIGURES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
WORD = re.compile(r"\w[\w'-]*")
SENTENCES = re.compile(r"(?<=[.!?\n])\s+")
CLAUSES = re.compile(r"(?<=[,;:])\s+|\s+(?=and |but |because |if |when |that |which |with |for )")


def changed_words(text: str, draw: random.Random, least: float = 0.15, most: float = 0.3) -> str:
    """15 to 30 % of the words: another word where the list has one, else the word goes, is doubled or is mistyped."""
    share = draw.uniform(least, most)
    tokens = re.split(r"(\s+)", text)
    places = [at for at, token in enumerate(tokens) if WORD.search(token)]
    draw.shuffle(places)
    places.sort(key=lambda at: tokens[at].lower().strip(".,?!") not in SWAPS)  # a person changes what has another word for it
    for at in places[: max(1, round(share * len(places)))]:
        tokens[at] = WORD.sub(lambda found: _other(found.group(), draw), tokens[at], count=1)
    return "".join(tokens)


def mostly_changed(text: str, draw: random.Random) -> str:
    """40 to 50 % of the words, in another order: no light rewording any more."""
    return reordered(changed_words(text, draw, 0.4, 0.5), draw)


def _other(word: str, draw: random.Random) -> str:
    known = SWAPS.get(word.lower())
    if known:
        return known.capitalize() if word[0].isupper() else known
    if word.lower() in SMALL:
        return draw.choice(["", draw.choice(SMALL)])
    if len(word) < 4:
        return f"{word} {word}"
    at = draw.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def reordered(text: str, draw: random.Random) -> str:
    """Sentences, or else clauses, in another order."""
    parts = [part for part in SENTENCES.split(text.strip()) if part]
    if len(parts) < 2:
        parts = [part for part in CLAUSES.split(text.strip()) if part]
    turn = draw.randrange(1, len(parts)) if len(parts) > 1 else 0
    return " ".join(parts[turn:] + parts[:turn])


def framed(text: str, draw: random.Random) -> str:
    """Something before it and after it."""
    return draw.choice(GREETINGS) + text.strip() + draw.choice(THANKS)


def written_otherwise(text: str, draw: random.Random) -> str:
    """Other case, punctuation, quotes and spacing."""
    plain = re.sub(r"[^\w\s']", lambda _: draw.choice(["", " ", "..."]), text)
    return draw.choice([plain.lower(), plain.upper(), plain.title(), re.sub(r"\s+", "  ", plain)])


def other_figures(text: str, draw: random.Random) -> str:
    """Numbers written in words or with commas, and other names."""
    names = {name: draw.choice(NAMES) for name in sorted(set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)))}
    renamed = re.sub(r"\b[A-Z][a-z]+\b", lambda found: names.get(found.group(), found.group()), text)
    return re.sub(r"\d+", lambda found: FIGURES[int(found.group())] if int(found.group()) < 13 else f"{int(found.group()):,}.0", renamed)


def shortened(text: str, draw: random.Random) -> str:
    """15 to 25 % of the words left out."""
    share = draw.uniform(0.15, 0.25)
    words = text.split()
    gone = set(draw.sample(range(len(words)), max(1, round(share * len(words)))))
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def all_at_once(text: str, draw: random.Random) -> str:
    """Changed words in another order and another dress, with something around it."""
    return framed(written_otherwise(reordered(changed_words(text, draw), draw), draw), draw)


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "changed_words": changed_words,
    "reordered": reordered,
    "framed": framed,
    "written_otherwise": written_otherwise,
    "other_figures": other_figures,
    "shortened": shortened,
    "all_at_once": all_at_once,
}
BEYOND = {"mostly_changed": mostly_changed}  # for comparison


def reword(kind: str, text: str, number: int) -> str:
    """The text reworded; the same every time."""
    return (KINDS | BEYOND)[kind](text, random.Random(f"{kind} {number}"))

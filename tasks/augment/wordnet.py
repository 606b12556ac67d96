"""WordNet's files read through NLTK, as the dictionary for nlpaug's SynonymAug.

The files are those of Debian's `wordnet-base`; $WNSEARCHDIR, WordNet's own variable, names another folder. nlpaug would
tag parts of speech with an NLTK model that must be downloaded; here a small guess from the neighbour and from
WordNet's counts does, and a word that it is unsure of is left alone.
"""

from __future__ import annotations

import functools
import io
import threading
import warnings
from typing import IO, cast

import nltk.data
from nltk.corpus.reader.wordnet import Synset, WordNetCorpusReader

from tasks.augment.english_words import BEFORE_VERB, DETERMINERS, FUNCTION
from tasks.augment.wordnet_files import folder

TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}  # WordNet's parts of speech: Penn's tags, which nlpaug uses
LEAVE = "DT"  # nlpaug never replaces a determiner


class _Files(WordNetCorpusReader):  # type: ignore[misc]
    """NLTK's reader without files that Debian does not ship: names of the lexicographers' files, and other languages."""

    def open(self, file: str) -> IO[str]:
        """The file, or made-up names in place of `lexnames`."""
        if file == "lexnames":
            return io.StringIO("".join(f"{number} file{number} 0\n" for number in range(45)))
        return cast(IO[str], super().open(file))

    def map_wn(self, version: str = "wordnet") -> None:
        """No mapping between versions of WordNet: it serves other languages only."""


class Dictionary:
    """Synonyms and parts of speech of English words; safe to share between threads."""

    def __init__(self, sense_share: float, frequency: int) -> None:
        nltk.data.path.append(str(folder()))  # NLTK reads only below these folders
        with warnings.catch_warnings():  # it warns that other languages are missing
            warnings.simplefilter("ignore")
            self._files = _Files(str(folder()), None)
        self._lock = threading.Lock()  # the reader seeks in open files
        self._sense_share, self._frequency = sense_share, frequency
        self._lookup = functools.lru_cache(maxsize=100_000)(self._read)

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Each word with its guessed tag, `DT` for one that has no safe synonym."""
        before = ["", *tokens]
        return [(token, self._tag(token, previous.lower())) for token, previous in zip(tokens, before, strict=False)]

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        """Synonyms of the word as this part of speech, in its most frequent sense."""
        return list(self._entry(word)[pos][1]) if pos in self._entry(word) else []

    def _tag(self, token: str, previous: str) -> str:
        entry = {} if token in FUNCTION or len(token) < 3 or not token.isascii() or not token.islower() else self._entry(token)
        pos = _guess(entry, previous)
        return TAGS[pos] if pos and entry[pos][1] else LEAVE

    def _entry(self, word: str) -> dict[str | None, tuple[int, tuple[str, ...]]]:
        with self._lock:
            return self._lookup(word)

    def _read(self, word: str) -> dict[str | None, tuple[int, tuple[str, ...]]]:
        """How often the word is each part of speech, and its synonyms; base forms only, because synonyms are not inflected."""
        entry: dict[str | None, tuple[int, tuple[str, ...]]] = {}
        for pos in TAGS:
            if self._files.morphy(word, pos, check_exceptions=True) == word:
                main, count, total = self._main_sense(word, pos)
                clear = count >= self._sense_share * max(1, total)
                entry[pos] = (total, self._synonyms(main, word, pos) if clear else ())
        return entry

    def _main_sense(self, word: str, pos: str) -> tuple[Synset, int, int]:
        """The word's most frequent sense in WordNet's texts, its count, and the count of all senses."""
        senses = self._files.synsets(word, pos=pos)
        counts = [sum(int(lemma.count()) for lemma in sense.lemmas() if lemma.name().lower() == word) for sense in senses]
        most = max(counts)
        return senses[counts.index(most)], most, sum(counts)

    def _synonyms(self, sense: Synset, word: str, pos: str) -> tuple[str, ...]:
        """Words used often enough, and mostly, in this sense: `take` may mean `need`, but rarely does."""
        lemmas = [(lemma.name(), int(lemma.count())) for lemma in sense.lemmas()]
        plain = [name for name, count in lemmas if name != word and name.isalpha() and name.islower() and count >= self._frequency]
        return tuple(name for name in plain if self._main_sense(name, pos)[0] == sense)


def _guess(entry: dict[str | None, tuple[int, tuple[str, ...]]], previous: str) -> str | None:
    """The part of speech: from the previous word, else the one with two thirds of the counts, else None."""
    if previous in DETERMINERS:
        return "n" if "n" in entry and "a" not in entry else None
    if previous in BEFORE_VERB:
        return "v" if "v" in entry else None
    best = max(entry, key=lambda pos: (entry[pos][0], str(pos)), default=None)
    total = sum(count for count, _ in entry.values())
    return best if best and entry[best][0] * 3 >= total * 2 and total else None


@functools.lru_cache(maxsize=2)
def dictionary(sense_share: float, frequency: int) -> Dictionary:
    """The dictionary, loaded once per process (1.3 CPU seconds)."""
    return Dictionary(sense_share, frequency)

"""Characters: mojibake undone, line ends made one, control and invisible characters removed, NFC.

`settle(text)` is one pass over one text; `tasks.common.text_repair` repeats it until nothing changes. Code is no exception:
none of these characters means anything there.
"""

from __future__ import annotations

import re
import unicodedata

import ftfy
from ftfy.badness import badness

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours of a terminal
LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Controls but tab and line feed; soft hyphen, zero-width space, word joiner and kin, byte order mark,
# annotations; bidi overrides, which only mislead.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u115f\u1160\u180e\u200b\u202a-\u202e\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e001f]"
)
BIDI = re.compile("[\u061c\u200e\u200f\u2066-\u2069]")  # marks and isolates: they mean something beside right-to-left letters only
RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# A joiner shapes letters of Arabic, Indic and kindred scripts, and glues emoji; anywhere else it only hides.
SHAPED = "\u0600-\u1aff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff"
EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
JOINER = re.compile(f"(?<![{SHAPED}])\u200c|(?<![{SHAPED}{EMOJI}])\u200d|(?<=[{EMOJI}])\u200d(?![{EMOJI}])")
HIDING = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")
C1 = re.compile("[\x80-\x9f\ufffd]")
TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]+)|[\U000e0020-\U000e007f]+")  # flags of regions; hidden text otherwise


def settle(text: str) -> str:
    """The text in NFC, without damage of encoding and without what cannot be seen."""
    if text.isascii():
        return _seen(text) if INVISIBLE.search(text) else text
    if badness(text) or C1.search(text):
        # By line, so that one damaged line does not hide behind whole ones.
        text = "\n".join(map(ftfy.fix_encoding, re.split("\r\n?|\n", text)))
    text = SPACE.sub(" ", _seen(text))
    if BIDI.search(text) and not RIGHT_TO_LEFT.search(text):
        text = BIDI.sub("", text)
    if HIDING.search(text):
        text = TAGS.sub(lambda found: found[1] or "", JOINER.sub("", text))
    return unicodedata.normalize("NFC", text)


def _seen(text: str) -> str:
    """The text with one kind of line end, and without terminal colours and invisible characters."""
    return INVISIBLE.sub("", LINE_END.sub("\n", ESCAPE.sub("", text)))

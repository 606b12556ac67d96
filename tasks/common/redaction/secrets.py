"""Keys, tokens and passwords: how they look, and what people write before them. Finders give (start, end, value) of each.

The shapes of keys stand in `tasks.common.redaction.tokens`. A password has no shape: it is known by what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from tasks.common.redaction.services import SERVICES
from tasks.common.redaction.spans import Spans, lower
from tasks.common.redaction.tokens import BLOCKS, GUESSED, PREFIXED, SHAPED

EDGE = r"(?<![A-Za-z0-9_-])"


def _either(words: str) -> str:
    """A pattern of any of the words, the longest first."""
    return "(?:" + "|".join(map(re.escape, sorted(words.split(), key=len, reverse=True))) + ")"


def _any_of(words: Iterable[str]) -> str:
    """A pattern of the beginnings of words, letter by letter, up to the shortest word: quicker than one word after the other."""
    heads: dict[str, list[str]] = {}
    for word in words:
        heads.setdefault(word[:1], []).append(word[1:])
    if "" in heads:
        return ""
    return "(?:" + "|".join(re.escape(head) + _any_of(tails) for head, tails in sorted(heads.items())) + ")"


def _bodies(shapes: dict[str, tuple[str, str]]) -> dict[str, list[re.Pattern[str]]]:
    """What may follow each prefix."""
    found: dict[str, list[re.Pattern[str]]] = {}
    for words, body in shapes.values():
        for word in words.split():
            found.setdefault(word, []).append(re.compile(body))
    return found


OWN_PREFIXES, GUESSED_PREFIXES = _bodies(PREFIXED), _bodies(GUESSED)
PREFIXES = _any_of([*OWN_PREFIXES, *GUESSED_PREFIXES])
PREFIX = re.compile(EDGE + PREFIXES)
LENGTHS = sorted({len(prefix) for prefix in (*OWN_PREFIXES, *GUESSED_PREFIXES)}, reverse=True)
BLOCK = re.compile("|".join(f"(?:{pattern})" for _, pattern in BLOCKS.values()), re.DOTALL)
SHAPE = re.compile("(?<![A-Za-z0-9_/+-])(?:" + "|".join(f"(?:{pattern})" for _, pattern in SHAPED.values()) + ")")

# What is sent in a header of HTTP: the value is all that follows.
SCHEME = (
    r"(?:bearer|basic|token|apikey|api-key|key|negotiate|ntlm|splunk)\s+([^\s<>$\[\]{}()\x02]\S{5,}?)|(?:digest|hmac"
    r"|aws4-hmac-sha256)\s+([^\"'`\n\x02]{6,}?)|(?=\S*\d)([^\s\[\x02]{12,}?)"
)
CUSTOM = r"x-(?:[a-z]+-)?(?:api-?key|auth(?:-token)?|token|access-token|csrf-token|secret)|api-?key|ocp-apim-subscription-key"
HEADER = re.compile(
    rf"(?<![A-Za-z0-9_-])(?:(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:{SCHEME})"
    rf"|(?:{CUSTOM})[\"']?\s*:\s*[\"']?(?=\S*\d)([^\s\"'\[\x02]{{8,}}?))(?=[\"'`,;]?\s|[\"'`\x02]|$)",
    re.IGNORECASE | re.MULTILINE,
)
COOKIE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:set-)?cookie[\"']?\s*:\s*[\"']?([\w.-]+=[^\s;\"'\[\x02][^\"'\n\x02]{4,}[^\s\"'\x02])", re.IGNORECASE
)
SESSION = re.compile(
    r"\b(?:phpsessid|jsessionid|sessionid|session_id|connect\.sid|asp\.net_sessionid|_gitlab_session)=([^\s;&\"'\[\]\x02]{8,})",
    re.IGNORECASE,
)
CREDENTIAL = re.compile(r"\b(?:bearer|basic)\s+(?=[^\s]*\d)([A-Za-z0-9._~+/-]{16,}=*)", re.IGNORECASE)
SERVICE_WORDS = _either(" ".join(words for words, _ in SERVICES.values()))
# What a service's setting is called besides, and the value; which shape this must have is the service's own matter.
SERVICE = re.compile(r"[\w. -]{0,30}[\"'`]{0,3}\s{0,3}(?::=|=>|[:=])\s{0,3}[\"'`]{0,3}([\w+/=:-]{14,90})(?![\w+/=-])")
OF_SERVICE = {word: re.compile(body) for words, body in SERVICES.values() for word in words.split()}
SENT = {"authorization x- api subscription-key": HEADER, "cookie": COOKIE, "sess connect.sid": SESSION, "bearer basic": CREDENTIAL}

# The words for it in the larger languages, and what may stand between them and it.
PASSWORD = (
    r"pass(?:word|wd|phrase|code|wort)|passord|lösenord|lozinka|adgangskode|kodeord|salasana|wachtwoord|kennwort|kenwort|has[łl]o"
    r"|heslo|jelszó"
    r"|parola|parol[aeui]|senha|palavra-passe|contraseñ?a|contrasinal|contrasenya|clave(?: secreta)?|mot de passe|mdp|şifre(?:m|si)?"
    r"|kata sandi|sandi"
    r"|mật khẩu|пароль|пароля|парола|лозинка|κωδικός(?: πρόσβασης)?|סיסמה|סיסמא|كلمة (?:المرور|السر)|كلمه السر|رمز عبور|گذرواژه|पासवर्ड"
    r"|পাসওয়ার্ড"
    r"|รหัสผ่าน|비밀번호|암호|密码|密碼|口令|パスワード|暗証番号|pwd|pword"
)
SECRET = (
    r"(?:api|access|secret|private|auth|account|client|service|encryption|signing|master|session|refresh|bearer|webhook|app"
    r"|application|consumer|subscription)"
    r"[ _-]?(?:key|token|secret|password)(?:[ _-](?:id|key))?"
)
IS = (
    r"is|was|are|c'est|ist|lautet|war|es|era|est|é|è|era|is:|jest|to|je|är|er|on|är|är:|este|adalah|yaitu|là|هي|هو|है|是|为|為|は|는|은"
    r"|ですが|это|היא"
)
SET = r"[\"'`*]{0,3}\s*(?:[:=：]|:=|=>)\s*"
STANDS = r"[\"'“”‘’«»„`*]{0,3}"
VALUE = r"([^\s\"'“”`,;<>\[\]{}()$\x02][^\s\"'“”`,;<>\[\]()\x02]{4,}[^\s\"'“”`,;<>\[\]().!?:\x02。，])"
# A value has a digit or a sign besides its letters: "password: required" and `token: str` are no secrets.
PROVED = r"(?=[^\s\"'“”`,;<>\[\]()\x02]*[\d!@#$%^&*+])"
LOOSE_WORD = "key|token|secret|credential|密钥|ключ|clave|clé|chave|schlüssel"
# Where to look: in lower case, since that is quicker than to look for both cases.
WORDS = re.compile(rf"{PASSWORD}|{SECRET}|{LOOSE_WORD}|\bpin|\bcv[vc]")
MINE = re.compile(r"\b(?:my|mein|mon|mi|minha|mia|mijn|мой|мій|moje)\s+$")
NAMED = re.compile(
    rf"(?:{PASSWORD}|{SECRET})(?:{SET}|(?: \w+){{0,3}}?\s*(?:(?<=\s)(?:{IS})(?=[\s:])|[是为為は는은])\s*:?\s*){STANDS}{PROVED}{VALUE}"
    rf"|(?:secret|token){SET}{STANDS}(?=[^\s\"',;]*[A-Za-z]){PROVED}{VALUE}",
    re.IGNORECASE,
)
OWN = re.compile(rf"(?:{PASSWORD})\s+{STANDS}(?=[^\s-]*[^\W\d_])(?=[^\s-]*\d){VALUE}", re.IGNORECASE)
# After "the key is" or "token:" only what nobody would write by hand.
LOOSE = re.compile(rf"(?:{LOOSE_WORD})s?(?:{SET}|\s+(?:{IS})\s*:?\s*){STANDS}([A-Za-z0-9+/_=.-]{{20,}})", re.IGNORECASE)
PIN = re.compile(rf"(?:pin|cvv|cvc)(?:[ -]?(?:code|number|nr))?(?:{SET}|\s+(?:{IS})\s+)(\d{{3,6}})(?![\w.,]\w)", re.IGNORECASE)
LOGIN = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,30}://(?P<name>[^\s:/@\"'<>\[\]\x02]*):(?P<value>[^\s@/\"'<>\[\]\x02][^\s/\"'<>\[\]\x02]*)@(?=[\w.\[-])"
)
WORD = r"(?:'(?P<{0}1>[^'\n\[\x02]{{3,}})'|\"(?P<{0}2>[^\"\n\[$\x02]{{3,}})\"|(?P<{0}3>[^\s'\"<>\[\]$|;\x02][^\s'\"<>\[\]|;\x02]{{2,}}))"
COMMANDS = re.compile(
    "|".join(
        (
            r"\b(?:curl|wget|http|https|xh)\b[^\n|;]*?\s(?:-u|--user|--proxy-user|-U|-a|--auth)["
            r" =]?[\"']?[^\s:\"'=\[]+:(?P<login>[^\s\"'\[\]<>$\x02]{3,})",
            r"\b(?:mysql\w*|mariadb\w*|mysqldump)\b[^\n|;]*?\s-p" + WORD.format("my"),
            r"\bsshpass\s+-p\s*" + WORD.format("ssh"),
            r"\b(?:(?:docker|podman|helm registry|az|oc) login|ldapsearch|redis-cli|mongo(?:sh|dump)?)\b[^\n|;]*?\s(?:-p|-w|-a)\s+"
            + WORD.format("tool"),
            r"(?<![\w-])--?(?:password|passwd|pass|pwd|passphrase|auth-token|api-key|secret|token)(?:=|\s+)(?!-)" + WORD.format("option"),
            r"<\w*(?:password|passwd|pwd|secret|token|api_?key)>(?P<xml>[^\s<>\[\]{}$\x02]{3,})</",
            r"(?<![A-Za-z])(?:password|pwd)=(?P<pair>[^\s;\"'<>\[\]{}()$*\x02]{4,})(?=;)",
            r"\bcurl\b[^\n|;]*?\s(?:-b|--cookie)[ =][\"']?(?P<sent>[\w.-]+=[^\s\"'\[\]<>$\x02]{6,})",
            r"\bidentified\s+by\s+(?=['\"])" + WORD.format("sql"),
            r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(?P<netrc>[^\s\[\x02]{3,})",
            r"\b(?:echo|printf)\s+[\"']?(?P<echo>[^\s\"'\[\]$\x02]{4,})[\"']?\s*\|\s*(?:sudo\s+-S|docker\s+login|passwd)",
        )
    ),
    re.IGNORECASE,
)
_COMMANDS = (
    "curl wget http xh mysql mariadb mysqldump sshpass login ldapsearch redis-cli mongo -pass -pwd -auth-token -api-key -secret -token"
    " pwd= password= identified machine sudo passwd <"
)
COMMAND_WORDS = _COMMANDS.split()
# What stands in examples where a secret would: nobody's.
STAND_IN = re.compile(
    r"(?:(?:your|my|the|some|an?|api|app|access|client|auth|private|db|pass(?:word|wd)?|pwd|pw|secret|token|key|user(?:name)?|name|id"
    r"|example|test|here|value|x+|\*+|\.+|…|changeme"
    r"|placeholder|none|null|true|false|\d)[_-]?)+",
    re.IGNORECASE,
)
WORDED = re.compile(
    r"(?:(?:[a-z]{1,14}|[A-Z]{1,14}|[A-Z][a-z]{1,14}|\d{1,4})[_.-]){2,}(?:[a-z]{1,14}|[A-Z]{1,14}|[A-Z][a-z]{1,14}|\d{1,4})"
)  # made of words, by hand
TYPES = re.compile(
    r"[\"']?(?:process\.env|os\.|env\.|getenv|config\.|self\.|this\.|settings\.|params\.|request\.|ctx\.|args\.)", re.IGNORECASE
)

HEX = re.compile(r"(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{32,}|(?=[A-F]*\d)(?=\d*[A-F])[0-9A-F]{32,}")

# RE2: how a text looks that may hold one.
KEY_HINT = (
    rf"(?:^|[^A-Za-z0-9_-]){PREFIXES}[A-Za-z0-9_.:/+=%-]{{12}}|(?:" + "|".join(hint for hint, _ in (SHAPED | BLOCKS).values()) + ")"
    r"|(?i:(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16}|(?:authorization|cookie|x-[a-z-]*(?:key|auth|token|secret)|api-?key"
    r"|subscription-key)[\"']?\s*[:=]"
    r"|(?:sess(?:ion)?_?id|connect\.sid|_session)=)"
)
SERVICE_HINT = rf"(?i:{SERVICE_WORDS})[\w. -]*[\"'`]?[:= >]+[\"'`]?[A-Za-z0-9+/_-]{{8}}"
SIGN = r"[^\s\"'“”`,;<>\[\]()\x02]*[0-9!@#$%^&*+]"  # what proves a value
PASSWORD_HINT = (
    rf"(?i:{PASSWORD}|secret|token|key|credential|ключ|schlüssel|chave|clé|\bpin"
    rf"|\bcv[vc])[a-z_]{{0,8}}(?:[\"'`*]{{0,3}}\s*[:=：>][=>]?|(?: \w+){{0,3}}\s(?:{IS})[\s:]|[是为為は는은]"
    rf"|\s)\s*[\"'“”‘’«»„`*]{{0,3}}{SIGN}"
    r"|://[^ /@\n]*:[^ @\n]+@|(?i:\b(?:curl|wget|xh|https?)\b.* (?:-u|-a|-b|--cookie|--user|--proxy-user|--auth)|(?:mysql|mariadb).*"
    r" -p|sshpass"
    r"|identified by|login .*-[pw] |(?:ldapsearch|redis-cli|mongo).* -[pwa] )"
    r"|(?i:--?(?:pass|pwd|auth-token|api-key|secret|token)|(?:password|pwd)=|machine .* login|<\w*(?:password|passwd|pwd|secret|token"
    r"|api_?key)>|(?:echo|printf) .*\| *(?:sudo|docker|passwd))"
)


def keys(text: str) -> Spans:
    """Keys and tokens that show by their own form, or that stand in a header."""
    for pattern in (BLOCK, SHAPE):
        yield from ((*found.span(), found[0]) for found in pattern.finditer(text) if not WORDED.fullmatch(found[0]))
    for begun in PREFIX.finditer(text):
        yield from _prefixed(text, begun.start())
    small = lower(text)
    for word, body in OF_SERVICE.items():  # one after the other, since that is quicker than to look for any
        place = small.find(word)
        while place >= 0:
            found = SERVICE.match(text, place + len(word))
            if found and body.fullmatch(found[1]) and random(found[1]):
                yield found.start(1), found.end(1), found[1]
            place = small.find(word, place + 1)
    for words, pattern in SENT.items():
        if any(word in small for word in words.split()):
            yield from _named(found for found in pattern.finditer(text) if pattern is not CREDENTIAL or random(found[1]))


def _prefixed(text: str, place: int) -> Spans:
    """The keys that begin here, by any prefix."""
    for length in LENGTHS:
        prefix = text[place : place + length]
        for body in OWN_PREFIXES.get(prefix, ()):
            if (found := body.match(text, place + length)) and not WORDED.fullmatch(whole := text[place : found.end()]):
                yield place, found.end(), whole
        for body in GUESSED_PREFIXES.get(prefix, ()):
            if (found := body.match(text, place + length)) and random(found[0]):
                yield place, found.end(), text[place : found.end()]


def passwords(text: str) -> Spans:
    """Values that are called a password, key, token or secret, or that stand where a link or a command takes one."""
    small = lower(text)
    for word in WORDS.finditer(small):
        yield from _called(text, word.start(), mine=bool(MINE.search(small[max(0, word.start() - 8) : word.start()])))
    if "://" in text:
        yield from _named(LOGIN.finditer(text))
    if any(word in small for word in COMMAND_WORDS):
        yield from _named(COMMANDS.finditer(text))


def _named(matches: Iterable[re.Match[str]]) -> Spans:
    """The values that the last group of each match holds, without stand-ins."""
    for found in matches:
        value = found.lastindex or 0
        if not STAND_IN.fullmatch(found[value]):
            yield found.start(value), found.end(value), found[value]


def _called(text: str, place: int, *, mine: bool) -> Spans:
    """The value of the word for a secret that stands at this place."""
    found = NAMED.match(text, place) or (OWN.match(text, place) if mine else None)
    if found:
        value = found.lastindex or 0
        if not (STAND_IN.fullmatch(found[value]) or TYPES.match(found[value])):
            yield found.start(value), found.end(value), found[value]
    elif pin := PIN.match(text, place):
        yield pin.start(1), pin.end(1), pin[1]
    elif (loose := LOOSE.match(text, place)) and random(loose[1]):
        yield loose.start(1), loose.end(1), loose[1]


def random(value: str) -> bool:
    """Whether letters and digits alternate as in what a machine made: `x7Kq0Zr2…`, not `learn-tutorial-2024`."""
    if HEX.search(value):
        return True
    kinds = ["a" if letter.islower() else "A" if letter.isupper() else "0" if letter.isdigit() else "" for letter in value]
    turns = sum(one != other for one, other in pairwise(kinds) if one and other)
    return turns * 6 >= len(value) and any(kind == "0" for kind in kinds)

"""Values that redaction must find, and what only looks like one, by the hundred: drawn from a seed, each in a sentence. Nobody's.

70 forms of values and 70 of look-alikes, five of each. Numbers are right by their check digits, which are computed here anew, so that
the product does not judge itself. Unlike the tables of `tests/redaction`, no value is written down: another seed gives others.
In a sentence a value stands between `‹` and `›`.
"""

from __future__ import annotations

import hashlib
import random
import string
import uuid
from collections.abc import Callable, Iterator

Chance = random.Random
Form = tuple[str, str, Callable[[Chance], str]]  # kind, sentence with {} for the value, how it is made
OF_EACH = 5
HEX, LOW, ALNUM = "0123456789abcdef", string.ascii_lowercase + string.digits, string.ascii_letters + string.digits
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WORDS = ("river", "lamp", "garden", "stone", "winter", "falcon", "copper", "meadow")
NAMES = ("ines.kolb", "t_okafor", "m.lindqvist", "yuki88", "r-dsouza", "carla+news")


def digits(c: Chance, count: int, first: str = "0123456789") -> str:
    """So many digits, the first one of these."""
    return c.choice(first) + "".join(c.choices(string.digits, k=count - 1)) if count else ""


def text(c: Chance, count: int, alphabet: str = ALNUM) -> str:
    """So many letters of the alphabet; of each kind in it at least one."""
    kinds = [kind for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits) if set(kind) & set(alphabet)]
    must = [c.choice(sorted(set(kind) & set(alphabet))) for kind in kinds]
    letters = must + c.choices(alphabet, k=count - len(must))
    c.shuffle(letters)
    return "".join(letters)


def luhn(body: str) -> str:
    """The number with Luhn's digit."""
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def grouped(value: str, *sizes: int, by: str = " ") -> str:
    """The value in groups of these sizes."""
    parts, at = [], 0
    for size in sizes:
        parts.append(value[at : at + size])
        at += size
    return by.join(parts)


def card(c: Chance, start: str, length: int) -> str:
    """The number of a payment card."""
    return luhn(start + digits(c, length - len(start) - 1))


def iban(c: Chance, country: str, bank: str, length: int) -> str:
    """An IBAN; the account is digits after the bank's letters."""
    account = bank + digits(c, length - 4 - len(bank))
    number = int("".join(str(int(letter, 36)) for letter in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def weighted(body: str, weights: tuple[int, ...]) -> int:
    """The sum of digits times weights."""
    return sum(int(digit) * weight for digit, weight in zip(body, weights, strict=False))


def eleven(c: Chance, count: int, weights: tuple[int, ...], check: Callable[[int], int], first: str = "123456789") -> str:
    """Digits with a check digit by weights; another draw where that would have two digits."""
    while (digit := check(weighted(body := digits(c, count, first), weights))) > 9:
        pass
    return body + str(digit)


def born(c: Chance, century: bool = False) -> str:
    """A day of birth as (YY)YYMMDD."""
    return f"{c.randint(1950, 1999)}"[0 if century else 2 :] + f"{c.randint(1, 12):02d}{c.randint(1, 28):02d}"


def dni(c: Chance) -> str:
    """The Spanish number of an identity card."""
    number = digits(c, 8, "12345678")
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def cpf(c: Chance) -> str:
    """The Brazilian tax number of a person."""
    body = digits(c, 9, "123456789")
    for count in (10, 11):
        body += str((weighted(body, tuple(range(count, 1, -1))) * 10) % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def chinese(c: Chance) -> str:
    """The Chinese number of a resident."""
    body = "110105" + born(c, century=True) + digits(c, 3)
    return body + "10X98765432"[weighted(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]


def french(c: Chance) -> str:
    """The French social security number, in groups."""
    body = c.choice("12") + born(c)[:4] + f"{c.randint(1, 95):02d}" + digits(c, 6)
    return grouped(f"{body}{97 - int(body) % 97:02d}", 1, 2, 2, 2, 3, 3, 2)


def belgian(c: Chance) -> str:
    """The Belgian national register number, written as on the card."""
    body = born(c) + f"{c.randint(1, 997):03d}"
    check = 97 - int(body) % 97
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:9]}.{check:02d}"


def pesel(c: Chance) -> str:
    """The Polish number of a person."""
    body = born(c) + digits(c, 4)
    return body + str(-weighted(body, (1, 3, 7, 9) * 3) % 10)


def turkish(c: Chance) -> str:
    """The Turkish number of a person."""
    body = digits(c, 9, "123456789")
    odd, even = sum(map(int, body[::2])), sum(map(int, body[1::2]))
    body += str((odd * 7 - even) % 10)
    return body + str(sum(map(int, body)) % 10)


def singaporean(c: Chance) -> str:
    """The number of a citizen of Singapore."""
    body = digits(c, 7, "789")
    return f"S{body}{'JZIHGFEDCBA'[weighted(body, (2, 7, 6, 5, 4, 3, 2)) % 11]}"


def swiss(c: Chance) -> str:
    """The Swiss insurance number."""
    body = "756" + digits(c, 9)
    check = -weighted(body, (1, 3) * 6) % 10
    return f"{body[:3]}.{body[3:7]}.{body[7:11]}.{body[11:]}{check}"


def address58(c: Chance, version: int, extra: int = 20) -> str:
    """A base58 address with its check sum."""
    data = bytes([version]) + c.randbytes(extra)
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    number, made = int.from_bytes(data, "big"), ""
    while number:
        number, place = divmod(number, 58)
        made = BASE58[place] + made
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + made


def password(c: Chance) -> str:
    """A password of a word, a sign and a number."""
    return c.choice(WORDS).capitalize() + c.choice("!#%_") + digits(c, 3, "123456789")


def email(c: Chance) -> str:
    """An address of an example domain."""
    return f"{c.choice(NAMES)}{c.randint(1, 99)}@{c.choice(('mail.example.net', 'example.org', 'post.example.co.nz'))}"


def ipv4(c: Chance) -> str:
    """A public address."""
    return f"{c.choice((51, 84, 93, 178, 203))}.{c.randint(40, 250)}.{c.randint(0, 250)}.{c.randint(1, 250)}"


def ipv6(c: Chance) -> str:
    """A public address."""
    return "2a02:" + ":".join(text(c, 4, HEX).lstrip("0") or "1" for _ in range(7))


def drawn_uuid(c: Chance) -> str:
    """A random UUID."""
    return str(uuid.UUID(int=c.getrandbits(128), version=4))


def pem(c: Chance, kind: str) -> str:
    """A block of a private key."""
    return f"-----BEGIN {kind}-----\n{text(c, 64)}\n{text(c, 40)}\n-----END {kind}-----"


VALUES: tuple[Form, ...] = (
    ("key", "export OPENAI={}", lambda c: "sk-proj-" + text(c, 74)),
    ("key", "I pasted {} by mistake", lambda c: "ghp_" + text(c, 36)),
    ("key", "remote: {} expired", lambda c: "glpat-" + text(c, 20)),
    ("key", "aws says {} is unknown", lambda c: "AKIA" + text(c, 16, string.ascii_uppercase + "234567")),
    ("key", "stripe: {}", lambda c: "sk_live_" + text(c, 24)),
    ("key", "the bot's {} leaked", lambda c: f"xoxb-{digits(c, 12)}-{digits(c, 12)}-{text(c, 24)}"),
    ("key", "maps loads with {}", lambda c: "AIza" + text(c, 35)),
    ("key", "login({})", lambda c: "hf_" + text(c, 34)),
    ("key", "SENDGRID={}", lambda c: f"SG.{text(c, 22)}.{text(c, 43)}"),
    ("key", "use {} to publish", lambda c: "npm_" + text(c, 36)),
    ("key", "telegram {}", lambda c: f"{digits(c, 10, '123456789')}:AA{text(c, 33)}"),
    ("key", "jwt {} ok", lambda c: f"eyJhbGciOiJIUzI1NiJ9.eyJ{text(c, 40)}.{text(c, 43)}"),
    ("key", "do: {}", lambda c: "dop_v1_" + text(c, 64, HEX)),
    ("key", "honeycomb {} today", lambda c: "hcaik_" + text(c, 58, LOW)),
    ("key", "elastic cloud gave me {}", lambda c: "essu_" + text(c, 60)),
    ("key", "DATADOG = '{}'", lambda c: text(c, 32, HEX)),
    ("key", "trello: {}", lambda c: "ATTA" + text(c, 64, HEX)),
    ("key", "{}", lambda c: pem(c, "RSA PRIVATE KEY")),
    ("key", "{}", lambda c: pem(c, "PGP PRIVATE KEY BLOCK")),
    ("key", "age: {}", lambda c: "AGE-SECRET-KEY-1" + text(c, 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")),
    ("key", 'curl -H "Authorization: Bearer {}" https://api.example.org', lambda c: text(c, 40)),
    ("key", "cookie: {}", lambda c: f"sid={text(c, 32, HEX)}; lang=en"),
    ("password", "redis://cache:{}@10.20.30.40:6379/1", password),
    ("password", "amqp://svc:{}@mq.example.net/v", password),
    ("password", "curl -u deploy:{} https://repo.example.org/x", password),
    ("password", "hi, my password is {} and it fails", password),
    ("password", "Mein Passwort lautet {}", password),
    ("password", "mon mot de passe est {} je crois", password),
    ("password", "mi contraseña es {}", password),
    ("password", "мой пароль: {}", password),
    ("password", "我的密码是{}", password),
    ("password", "POSTGRES_PASSWORD={}", password),
    ("email", "ask {} please", email),
    ("email", "From: <{}>", email),
    ("iban", "please pay to {} by Friday", lambda c: iban(c, "DE", "", 22)),
    ("iban", "account {}", lambda c: grouped(iban(c, "GB", "MIDL", 22), 4, 4, 4, 4, 4, 2)),
    ("iban", "conto {}", lambda c: iban(c, "NL", "RABO", 18).lower()),
    ("card", "charge {} again", lambda c: grouped(card(c, "4", 16), 4, 4, 4, 4)),
    ("card", "it was {}", lambda c: grouped(card(c, "2" + c.choice("345"), 16), 4, 4, 4, 4, by="-")),
    ("card", "amex {} exp 09/27", lambda c: grouped(card(c, "37", 15), 4, 6, 5)),
    ("card", "mastercard {}", lambda c: card(c, "5" + c.choice("12345"), 16)),
    ("ssn", "SSN {}", lambda c: f"{c.randint(101, 665)}-{c.randint(10, 99)}-{c.randint(1000, 9999)}"),
    ("id", "DNI {}", dni),
    ("id", "meu CPF {}", cpf),
    ("id", "身份证 {}", chinese),
    ("id", "n° sécu {}", french),
    ("id", "rijksregister {}", belgian),
    ("id", "PESEL {}", pesel),
    ("id", "TC {}", turkish),
    ("id", "NRIC {}", singaporean),
    ("id", "AHV {}", swiss),
    ("id", "NHS {}", lambda c: eleven(c, 9, (10, 9, 8, 7, 6, 5, 4, 3, 2), lambda total: -total % 11, "456")),
    ("id", "my passport is {}", lambda c: c.choice("CFGH") + digits(c, 8)),
    ("mac", "the card has {}", lambda c: ":".join(text(c, 2, HEX) for _ in range(6)).upper()),
    ("ip", "requests came from {} all night", ipv4),
    ("ip", "peer {} refused", ipv6),
    ("wallet", "send it to {}", lambda c: address58(c, 0)),
    ("wallet", "eth {}", lambda c: "0x" + text(c, 40, HEX)),
    ("wallet", "ltc {}", lambda c: address58(c, 48)),
    ("url", "see {} for it", lambda c: f"https://{c.choice(WORDS)}.example.net/u/{digits(c, 5)}"),
    ("phone", "ring {}", lambda c: f"+44 7{digits(c, 3)} {digits(c, 6)}"),
    ("phone", "my cell is ({}", lambda c: f"{c.randint(201, 989)}) {c.randint(201, 989)}-{digits(c, 4)}"),
    ("phone", "Tel. {}", lambda c: f"0{c.randint(30, 89)} / {digits(c, 7, '123456789')}"),
    ("phone", "appelez le {}", lambda c: "06 " + " ".join(digits(c, 2) for _ in range(4))),
    ("phone", "llámame al {}", lambda c: f"6{digits(c, 2)} {digits(c, 3)} {digits(c, 3)}"),
    ("phone", "номер телефона {}", lambda c: f"8 (9{digits(c, 2)}) {digits(c, 3)}-{digits(c, 2)}-{digits(c, 2)}"),
    ("phone", "手机 {}", lambda c: f"13{digits(c, 9)}"),
    ("phone", "call me on {}", lambda c: f"+91 9{digits(c, 4)} {digits(c, 5)}"),
    ("phone", "meu zap: {}", lambda c: f"({c.randint(11, 99)}) 9{digits(c, 4)}-{digits(c, 4)}"),
    ("phone", "fax {} office", lambda c: f"1-800-{c.randint(201, 989)}-{digits(c, 4)}"),
)
LOOKALIKES: tuple[Form, ...] = (
    ("ip", "upgrade to {} first", lambda c: f"{c.randint(1, 20)}.{c.randint(0, 30)}.{c.randint(0, 30)}.{c.randint(0, 30)}"),
    ("ip", "see section {} of the manual", lambda c: ".".join(str(c.randint(1, 19)) for _ in range(4))),
    ("ip", "Chrome/{} Safari", lambda c: f"{c.randint(90, 140)}.0.{c.randint(4000, 6999)}.{c.randint(10, 199)}"),
    ("ip", "firmware {} is out", lambda c: f"{c.randint(1, 9)}.{c.randint(0, 99)}.{c.randint(0, 99)}.{c.randint(0, 99)}"),
    ("ip", "netmask 255.255.{}.0", lambda c: str(c.choice((0, 128, 192, 240, 248)))),
    ("ip", "pip install tool=={}", lambda c: f"{c.randint(1, 9)}.{c.randint(0, 60)}.{c.randint(0, 60)}.{c.randint(0, 60)}"),
    ("ip", "std::{}::size", lambda c: c.choice(WORDS)),
    ("ip", "at {} it rang", lambda c: f"{c.randint(0, 23):02d}:{c.randint(0, 59):02d}:{c.randint(0, 59):02d}"),
    ("ip", "slice [{}::2]", lambda c: str(c.randint(1, 99))),
    ("email", "this@{}.start()", lambda c: c.choice(WORDS).capitalize()),
    ("email", "scores = q@k.{}(-2, -1)", lambda c: c.choice(("transpose", "permute", "swapaxes", "view"))),
    ("email", "@{}.command()", lambda c: c.choice(WORDS)),
    ("email", "npm i react@18.{}", lambda c: f"{c.randint(0, 9)}.{c.randint(0, 9)}"),
    ("email", "icon@{}x.png", lambda c: str(c.randint(2, 4))),
    ("email", "git clone git@github.com:{}/repo.git", lambda c: c.choice(WORDS)),
    ("email", "follow @{} there", lambda c: c.choice(WORDS)),
    ("email", "systemctl restart getty@tty{}.service", lambda c: str(c.randint(1, 9))),
    ("email", "W@x.{} + b", lambda c: c.choice(("T", "mT", "grad"))),
    ("phone", "order number {}", lambda c: digits(c, 10, "123456789")),
    ("phone", "part no. {}", lambda c: f"{digits(c, 3, '123456789')}-{digits(c, 4)}-{digits(c, 3)}"),
    ("phone", "about {} 000 000 people", lambda c: f"{c.randint(1, 9)} {digits(c, 3)}"),
    ("phone", "on {} we met", lambda c: f"{c.randint(1990, 2030)}-{c.randint(1, 12):02d}-{c.randint(1, 28):02d}"),
    ("phone", "from {} on", lambda c: f"{c.randint(1, 28):02d}.{c.randint(1, 12):02d}.{c.randint(1990, 2030)}"),
    ("phone", "logged 20{}", lambda c: f"{c.randint(10, 29)}-{c.randint(1, 12):02d}-0{c.randint(1, 9)} 10:{c.randint(10, 59)}:07"),
    ("phone", "timestamp {}", lambda c: "17" + digits(c, 8)),
    ("phone", "epoch ms {}", lambda c: "17" + digits(c, 11)),
    ("phone", "ISBN {}", lambda c: f"978-{c.randint(0, 9)}-{digits(c, 2)}-{digits(c, 6)}-{digits(c, 1)}"),
    ("phone", "it costs ${} a year", lambda c: f"{c.randint(1, 9)},{digits(c, 3)},{digits(c, 3)}.00"),
    ("phone", "coordinates {}", lambda c: f"{c.randint(10, 89)}.{digits(c, 6)}, -{c.randint(10, 89)}.{digits(c, 6)}"),
    ("phone", "pi is {}", lambda c: "3." + digits(c, 15)),
    ("phone", "row {} of it", lambda c: " ".join(digits(c, 3) for _ in range(5))),
    ("phone", "ticket #{}", lambda c: digits(c, 9, "123456789")),
    ("phone", "flight LH {} at noon", lambda c: digits(c, 4, "123456789")),
    ("phone", "the years {}", lambda c: f"{c.randint(1900, 1950)}-{c.randint(1951, 2020)}"),
    ("phone", "DOI 10.{}", lambda c: f"{digits(c, 4, '123456789')}/{digits(c, 7)}"),
    ("phone", "invoice {}", lambda c: f"2024-{digits(c, 6)}"),
    ("card", "tracking {}", lambda c: digits(c, 16, "9")),
    ("card", "matrix {}", lambda c: " ".join(digits(c, 4) for _ in range(8))),
    ("card", "EAN {}", lambda c: digits(c, 13, "45")),
    ("card", "snowflake {}", lambda c: "1" + digits(c, 17)),
    ("card", "not a card: {}", lambda c: grouped(card(c, "4", 16)[:-1] + "x", 4, 4, 4, 4)),
    ("iban", "product DE{} in stock", lambda c: digits(c, 8)),
    ("iban", "see GB{}", lambda c: f"12 {text(c, 4, string.ascii_uppercase)} {digits(c, 4)}"),
    ("key", "pip install sk-{}", lambda c: f"learn-{c.choice(WORDS)}-{c.randint(2000, 2030)}"),
    ("key", "commit {}", lambda c: text(c, 40, HEX)),
    ("key", "sha256:{}", lambda c: text(c, 64, HEX)),
    ("key", "md5 {}", lambda c: text(c, 32, HEX)),
    ("key", "request {}", drawn_uuid),
    ("key", "trace id {} failed", drawn_uuid),
    ("key", "image data:image/png;base64,{}", lambda c: "iVBORw0KGgo" + text(c, 10)),
    ("key", "the {} column", lambda c: f"sk_{c.choice(WORDS)}_{c.choice(WORDS)}_{c.randint(1, 99)}"),
    ("key", "branch feature/{}", lambda c: f"api-{c.choice(WORDS)}-{c.choice(WORDS)}-v{c.randint(1, 9)}"),
    ("key", "model {}", lambda c: f"gpt-4o-20{c.randint(23, 29)}-0{c.randint(1, 9)}-{c.randint(10, 28)}"),
    ("key", "ssh-ed25519 {} me", lambda c: "AAAAC3NzaC1lZDI1NTE5AAAAI" + text(c, 43)),
    ("key", "test_{}_raises", lambda c: f"{c.choice(WORDS)}_{c.choice(WORDS)}_{c.choice(WORDS)}_with_{c.randint(2, 99)}"),
    ("key", "live_{}.mp4", lambda c: f"{c.choice(WORDS)}_20{c.randint(10, 29)}_0{c.randint(1, 9)}_{c.randint(10, 28)}"),
    ("key", "datadog: {} agents", lambda c: str(c.randint(1000, 9999))),
    ("key", "the twitch channel {}", lambda c: c.choice(WORDS) + digits(c, 4)),
    ("key", "class hf_{}", lambda c: f"{c.choice(WORDS)}_{c.choice(WORDS)}_loader"),
    ("password", "password: {}", lambda c: c.choice(("required", "optional", "string", "hidden", "missing"))),
    ("password", "my password is {} to guess", lambda c: c.choice(("hard", "easy", "impossible", "simple", "difficult"))),
    ("password", "max_tokens = {}", lambda c: digits(c, 4, "123456789")),
    ("password", "password = os.environ['DB{}']", lambda c: digits(c, 2)),
    ("password", "token: {}", lambda c: f"${{{c.choice(WORDS).upper()}_TOKEN}}"),
    ("password", "the key is {}", lambda c: c.choice(("practice", "balance", "under the mat", "patience", "to rest"))),
    ("password", "postgres://user:password@localhost/{}", lambda c: c.choice(WORDS)),
    ("id", "order {}", lambda c: digits(c, 11, "123456789")),
    ("id", "SKU {}", lambda c: f"{text(c, 4, string.ascii_uppercase)}-{digits(c, 6)}"),
    ("mac", "ratio {}", lambda c: ":".join(f"{c.randint(10, 59)}" for _ in range(4))),
    ("wallet", "0x{} is the colour", lambda c: text(c, 6, HEX)),
)  # fmt: skip


def values(seed: int = 5) -> Iterator[tuple[str, str]]:
    """(kind, sentence with marks around its value)."""
    chance = Chance(seed)
    for kind, sentence, make in VALUES:
        for _ in range(OF_EACH):
            yield kind, sentence.replace("{}", f"‹{make(chance)}›")


def lookalikes(seed: int = 6) -> Iterator[tuple[str, str]]:
    """(kind that it looks like, sentence without any value)."""
    chance = Chance(seed)
    for kind, sentence, make in LOOKALIKES:
        for _ in range(OF_EACH):
            yield kind, sentence.replace("{}", make(chance))

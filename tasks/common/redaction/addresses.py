"""Addresses of machines and of money: IP, MAC, wallets. Finders give (start, end, value) of each."""

from __future__ import annotations

import hashlib
import ipaddress
import re

from tasks.common.redaction.spans import Spans

IPV4 = re.compile(r"(?<![A-Za-z0-9_.])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9_]|\.\d)")
NETWORK = re.compile(r"/\d{1,2}(?!\d)")
SMALL = 32  # four parts below it number versions and sections; hardly an address of a person has such parts only
PORT = re.compile(r":\d{2,5}(?!\d)")
# Before four numbers: what makes them an address, and what makes them a version or a section.
ADDRESS = re.compile(
    r"\b(?:ip|ipv4|address|adresse|dirección|host|server|client|router|gateway|peer|from|login|ping|ssh|dns)\w*\W{1,3}(?:is |was |at "
    r"|ist )?$",
    re.IGNORECASE,
)
VERSION = re.compile(
    r"(?:\b(?:v|ver)|versions?|versión|версия|release|build|firmware|update|upgrad\w+|patch|revision|driver|bios|kernel|chrome|firefox"
    r"|safari|openssl"
    r"|sections?|chapter|clause|article|paragraph|appendix|annex|figure|kapitel|abschnitt|capítulo|chapitre|§+)"
    r"(?: (?:number|no|nr|to|from|is))?[\s.:=(\"'~<>^]{0,4}$|[=~<>!]=\s?$|[A-Za-z]/$",
    re.IGNORECASE,
)
# Public resolvers are nobody's.
_RESOLVERS = (
    "1.1.1.1 1.0.0.1 1.1.1.2 1.1.1.3 8.8.8.8 8.8.4.4 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 94.140.14.14 94.140.15.15"
    " 4.2.2.1 4.2.2.2"
    " 2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 2620:fe::fe"
)
RESOLVERS = frozenset(_RESOLVERS.split())
IPV6 = re.compile(r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?![A-Za-z0-9_:])")
MAC = re.compile(
    r"(?<![0-9A-Za-z:-])(?:[0-9A-Fa-f]{2}(:)(?:[0-9A-Fa-f]{2}:){4}|[0-9A-Fa-f]{2}-(?:[0-9A-Fa-f]{2}-){4})[0-9A-Fa-f]{2}(?![0-9A-Za-z]"
    r"|[:-][0-9A-Fa-f])"
    r"|(?<![0-9A-Za-z.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Za-z]|\.\w)"
)
WALLET = re.compile(
    r"(?<![A-Za-z0-9])(?:0x[0-9a-fA-F]{40}|(?:bc1|tb1|ltc1)[02-9ac-hj-np-z]{25,62}|(?:bitcoincash:)?[qp][02-9ac-hj-np-z]{41}|(?:addr1"
    r"|stake1)[02-9ac-hj-np-z]{50,}"
    r"|(?:cosmos1|osmo1|terra1|inj1)[02-9ac-hj-np-z]{38}|[48][1-9A-HJ-NP-Za-km-z]{94}|(?:EQ|UQ)[A-Za-z0-9_-]{46}"
    r"|r[1-9A-HJ-NP-Za-km-z]{24,34}"
    r"|[13LMDTXmn2][1-9A-HJ-NP-Za-km-z]{25,34}|t[13][1-9A-HJ-NP-Za-km-z]{33}|[5KLc9][1-9A-HJ-NP-Za-km-z]{50,51})(?![A-Za-z0-9])"
)
BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
SOLANA = re.compile(
    r"\b(?:solana|sol|phantom|wallet)\b[^\n]{0,24}?(?<![A-Za-z0-9])([1-9A-HJ-NP-Za-km-z]{43,44})(?![A-Za-z0-9])", re.IGNORECASE
)


def ip_addresses(text: str) -> Spans:
    """Addresses of both versions that may lead to a person: no loopback, no mask, no public resolver, no version, no section."""
    for found in IPV4.finditer(text):
        parts = [int(part) for part in found[0].split(".")]
        if max(parts) < 256 and not _nobody(parts, text, found) and not _version(parts, text, found):
            yield found.start(), found.end(), ".".join(map(str, parts))
    for found in IPV6.finditer(text):
        # At least five hex digits and a decimal one: `a::b` is more often code than an address.
        if len(found[0].replace(":", "")) < 5 or not re.search(r"\d", found[0]):
            continue
        try:
            value = ipaddress.IPv6Address(found[0]).compressed
        except ValueError:
            continue
        if value not in RESOLVERS:
            yield found.start(), found.end(), value


def _nobody(parts: list[int], text: str, found: re.Match[str]) -> bool:
    """Whether the address is nobody's: loopback, a mask, a network, a resolver that serves all."""
    # A private network, or one with its mask, is a place in a diagram.
    network = NETWORK.match(text, found.end()) and (parts[3] == 0 or parts[0] == 10 or parts[:2] == [192, 168])
    return parts[0] == 0 or parts[:3] == [127, 0, 0] or parts[:2] == [255, 255] or found[0] in RESOLVERS or bool(network)


def _version(parts: list[int], text: str, found: re.Match[str]) -> bool:
    """Whether the four numbers count something: a version, a section."""
    before = max(0, found.start() - 32)
    if VERSION.search(text, before, found.start()):
        return True
    small = max(parts) < SMALL or parts[1:] == [0, 0, 0]
    return small and not PORT.match(text, found.end()) and not ADDRESS.search(text, before, found.start())


def mac_addresses(text: str) -> Spans:
    """Hardware addresses, in lower case without signs; not the broadcast address, and no six pairs of digits such as a date."""
    for found in MAC.finditer(text):
        value = re.sub("[^0-9a-f]", "", found[0].lower())
        if value not in ("f" * 12, "0" * 12) and (found[1] or not value.isdigit()):
            yield found.start(), found.end(), value


def wallets(text: str) -> Spans:
    """Addresses of crypto currencies, by their check sums where they have one."""
    for found in WALLET.finditer(text):
        if _sound(found[0]):
            yield found.start(), found.end(), found[0]
    for found in SOLANA.finditer(text):
        if re.search(r"\d", found[1]) and re.search("[a-z]", found[1]) and re.search("[A-Z]", found[1]):
            yield found.start(1), found.end(1), found[1]


def _sound(address: str) -> bool:
    """Whether the address is one: base58 has a check sum in its last four bytes, the others show by their beginning."""
    if address[0] in "13LMDTXmn259Kc" or re.match("t[13]", address):
        return base58_checked(address, BITCOIN)
    if address[0] == "r":
        return base58_checked(address, RIPPLE)
    digits = sum(map(str.isdigit, address))
    return 2 <= digits < len(address) - 2 and address[2:] != address[2] * (len(address) - 2)


def base58_checked(text: str, alphabet: str) -> bool:
    """Whether the last four bytes are the beginning of the others' double SHA-256."""
    number = 0
    for letter in text:
        place = alphabet.find(letter)
        if place < 0:
            return False
        number = number * 58 + place
    leading = len(text) - len(text.lstrip(alphabet[0]))
    data = bytes(leading) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:] and len(data) > 4

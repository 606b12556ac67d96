"""Keys, tokens and passwords: how they look. `find(text)` gives (start, end, value) of each."""

from __future__ import annotations

import re

from tasks.text.spans import Spans

# RE2: how a text looks that may hold one.
KEY_HINT = (
    r"[sr]k[-_]|gh[opusr]_|github_pat_|glpat-|xox[a-z]-|xapp-|AIza|A[KSGR][IO]A|AIDA|eyJ|-----BEGIN|hf_|npm_|pypi-|whsec_|pk_|ya29\.|SG\."
    r"|dop_v1_|[0-9]:[A-Za-z0-9_-]{35}|(?i:bearer |basic )"
)
PASSWORD_HINT = (
    r"(?i:passwor|passwd|pwd|passphrase|passcode|passwort|contrase|senha|mot de passe|пароль|密码|密碼|パスワード|secret|key|token)"
)
KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{16}(?![A-Z0-9])"  # AWS
    r"|gh[opusr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,}"  # GitHub, GitLab
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{16,}"  # Stripe
    r"|sk-(?=[\w-]*\d)[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}"  # Slack, Google
    r"|hf_[A-Za-z]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|dop_v1_[0-9a-f]{32,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|\d{8,10}:[A-Za-z0-9_-]{35}(?![\w-])"  # Telegram
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON web token
    r")",
    re.DOTALL,
)
HEADER = re.compile(r"\b(?:bearer|basic)\s+(?=[^\s]*\d)([A-Za-z0-9._~+/-]{16,}=*)", re.IGNORECASE)
# What may be followed by "is", and what must be followed by a sign ("the token is ERC20").
NAMED = (
    r"(?:pass(?:word|wd|phrase|code|wort)|pwd|contraseña|senha|mot de passe|пароль|密码|密碼|パスワード"
    r"|(?:api|access|secret|private|auth|account|client|service|encryption|signing)[ _-]?(?:key|token|secret)(?:[ _-]id)?)"
)
SET = r"[\"']?\s*[:=：]\s*"
# A value has a digit or a sign besides its letters: "password: required" and `token: str` are no secrets.
ASSIGNED = re.compile(
    rf"(?<![A-Za-z0-9])(?:\w*_)?(?:{NAMED}(?:{SET}|\s+(?:is|was|ist|es|est)\s*:?\s+)|(?:secret|token){SET})[\"'“]?"
    r"(?=[^\s\"'“”`,;<>\[\]()\x02]*[\d!@#$%^&*+])([^\s\"'“”`,;<>\[\]{}()$\x02][^\s\"'“”`,;<>\[\]()\x02]{4,}[^\s\"'“”`,;<>\[\]().!?:\x02])",
    re.IGNORECASE,
)


def keys(text: str) -> Spans:
    """Keys and tokens that show by their own form, or after `Bearer`."""
    for found in KEY.finditer(text):
        yield found.start(), found.end(), found[0]
    for found in HEADER.finditer(text):
        yield found.start(1), found.end(1), found[1]


def passwords(text: str) -> Spans:
    """Values that are called a password, key, token or secret: `password: ...`, `api_key=...`, `my password is ...`."""
    for found in ASSIGNED.finditer(text):
        yield found.start(1), found.end(1), found[1]

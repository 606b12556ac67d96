"""What stands in a text and is no part of what was said: reasoning, and the marks by which servers and models divide a conversation.

`take_out(text, answer)` gives the text without them, what kinds were taken out, and whether the answer broke off in its reasoning. Marks
between back-ticks, and where such marks are what is talked about, stay. Reasoning that is to be kept comes before the answer in one form,
`<think>`, whatever form it had: the one that chat templates of reasoning models (Qwen3, DeepSeek R1, GLM) take apart, and trainers see.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, replaced, strings

CODE = r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`"
# RE2: how a text looks in which something may be.
SUSPECT = (
    r"<\||<｜|◁|(?i:(?:<|&lt;)/?(?:think|thought|reasoning|reflection|seed:think|inner_|internal_|chain_of|cot>|scratchpad|antthink)"
    r"|\[(?:begin|end)_th|<details|:::|\[/?(?:think|inst|done|eos)\]|<</?sys>>|</?s>|<(?:end|start)_of_turn>|<turn\||<[be]os>|<[se]op>"
    r"|\[gmask\]|\[\||<extra_id_[01]>(?:user|assistant|system|\s*\z)|<reserved_|<unused"
    r"|###\s?(?:instruction|human|user|input)|\n(?:human|user) ?:|\Aassistant ?[:\n]|\A(?:```|~~~) ?(?:think|thought|reason)"
    r"|\Aanalysis.*assistantfinal|<\|[a-z_]{2,16}\|?\z)"
)
NAMES = (
    "think|thinking|thoughts?|reasoning|reflection|seed:think|antthinking|scratchpad|cot|chain_of_thought"
    "|(?:inner|internal)_(?:monologue|thoughts?|reasoning|thinking)"
)
SUMMARIES = "thoughts?|thinking|thought (?:for|process)|thought about|reasoning|chain of thought|internal reasoning"
FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE


class Block:
    """How reasoning opens and closes with a kind of server or model; whether a template may eat the opening."""

    def __init__(self, sign: str, opening: str, closing: str, *, alone: bool = True) -> None:
        self.sign, self.alone = sign, alone  # what stands in every text that holds one, in lower case
        self.opening = re.compile(rf"({CODE})|(?:^[ \t]*|(?<=[.!?:>]) ?|(?<=\n))(?:{opening})", FLAGS)
        self.closing = re.compile(closing, FLAGS)
        self.lone = re.compile(rf"({CODE})|(?:(?<=\n)|(?<=[.!?…)]) ?)(?:{closing})(?=\s*\n|[^\s`'\",.;]|\s*\Z)", FLAGS)


BLOCKS = (
    Block("<", rf"<(?:{NAMES})(?:\s[^<>]*)?>", rf"</(?:{NAMES})>"),
    Block(
        "<details",
        r"<details\b[^<>]*\btype=[\"']?(?:reasoning|thinking|tool_calls|code_interpreter)\b[^<>]*>",
        r"</details>",
        alone=False,
    ),
    Block(
        "<details",
        rf"<details\b[^<>]*>(?=\s*<summary>\s*(?:<\w+>)?[^\w<]*(?:{SUMMARIES})\b[^<]{{0,40}}(?:</\w+>)?\s*</summary>)",
        r"</details>",
        alone=False,
    ),
    Block("&lt;", rf"&lt;(?:{NAMES})&gt;", rf"&lt;/(?:{NAMES})&gt;"),
    Block("<unused", r"<unused94>(?:thought\n)?", r"<unused95>"),
    Block(":::", r"^:{3,} ?(?:thinking|think|reasoning|thought)\b[^\n]*\n", r"^:{3,}[ \t]*$", alone=False),
    Block("[", r"\[(?:BEGIN_(?:OF_)?)?TH(?:INK|OUGHT)\]", r"\[(?:/THINK|END_(?:OF_)?TH(?:INK|OUGHT))\]"),
    Block("◁", r"◁think▷", r"◁/think▷"),
    Block(
        "<|",
        r"<\|(?:begin_of_thought|START_THINKING|thinking_start|think_start)\|>",
        r"<\|(?:end_of_thought|END_THINKING|thinking_end|think_end)\|>",
    ),
    Block("<|channel>", r"<\|channel>thought\b", r"<channel\|>", alone=False),
)
ANSWER = re.compile(
    r"\A\s*(?:<answer>|<\|begin_of_solution\|>|<response>)(.*?)(?:</answer>|<\|end_of_solution\|>|</response>)?\s*\Z", FLAGS
)
# Harmony: the answer is what stands in the final channel.
CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary|final)", re.IGNORECASE)
FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>(.*?)(?:<\|(?:return|end|start|call)\|>|\Z)", FLAGS)
UNSEEN = re.compile(
    r"<\|channel\|>\s*(?:analysis|commentary)\b(?![^<]*\bto=)[^<]*<\|message\|>(.*?)(?=<\|(?:return|end|start|call|channel)\|>|\Z)", FLAGS
)
BARE_FINAL = re.compile(r"\Aanalysis(?=[A-Z])(.*)assistantfinal(?=\S)", re.DOTALL)
FOLDED = re.compile(r"\A\s*<summary>.*?</summary>", FLAGS)  # what front ends write above folded reasoning
WORK = ("tool_calls", "code_interpreter")  # kinds of folded blocks that are no reasoning
THINK = "<think>\n{}\n</think>\n\n"
ONLY_THOUGHT = r"\A<think>\n(?s:.*)\n</think>\s*\z"  # RE2: a text that is reasoning, and no answer

ROLES = r"(?:system|user|assistant|model|tool|developer|human|ipython|observation)"
# After these nothing belongs to the answer; what names a role goes with its role.
END = (
    r"<\|(?:im_end|im_sep|eot_id|eom_id|end_of_text|endoftext|end|eos|return|endofprompt|END_OF_TURN_TOKEN|EOT|eot|end_of_turn"
    r"|end_of_msg|im_start|start_header_id|START_OF_TURN_TOKEN"
    r"|user|assistant|system|observation)\|>|<｜(?:end▁of▁sentence|User|Assistant|begin▁of▁sentence|EOT)｜>|<(?:end|start)_of_turn>"
    r"|<turn\|>|<eos>|<eop>|\[/?INST\]|\[\|(?:endofturn|user|system)\|\]|<extra_id_[01]>(?:User|Assistant|System|\s*\Z)|<reserved_\d+>"
)
MARK = (
    rf"<\|(?:im_start|start)\|>{ROLES}?[ \t]*\n?|<\|start_header_id\|>\s*{ROLES}?\s*<\|end_header_id\|>\s*"
    rf"|<\|START_OF_TURN_TOKEN\|>(?:<\|\w+_TOKEN\|>)?|<start_of_turn>{ROLES}?\n?"
    r"|<\|[A-Za-z][A-Za-z0-9_]{1,40}\|>|<｜[^｜<>\n]{2,40}｜>|<end_of_turn>|<turn\|>|<[be]os>|\[/?INST\]|<</?SYS>>"
    r"|\[gMASK\]|<[se]op>|\[\|(?:endofturn|user|system|assistant)\|\]|<extra_id_[01]>(?:(?:User|Assistant|System)\n?|\s*\Z)|<reserved_\d+>"
)
ENDS = re.compile(rf"({CODE})|(?:{END})", re.DOTALL)
MARKS = re.compile(rf"({CODE})|(?:{MARK})", re.DOTALL)
STRIKE = re.compile(r"<s>.*?</s>", FLAGS)
SENTENCE = re.compile(r"\A\s*<s>|</s>\s*(?:<s>\s*)?\Z")
DONE = re.compile(
    r"\s*(?:data: ?)?\[(?:DONE|EOS)\]\s*\Z|(?<!`)<\|(?:im_(?:end|start)|eot_id|endoftext|end_of_text|eot|end)\|?\Z"
)  # the last one torn
OPENED = re.compile(r"\A\s*<s>((?:(?!</?s>).)*)</s>\s*\Z", FLAGS)  # a text as a whole: its beginning and end, and no crossing out
FENCE = re.compile(r"\A\s*(```|~~~) ?(?:think(?:ing)?|thoughts?|reasoning)\n(.*?)\n\1[ \t]*(?:\n|\Z)", FLAGS)
# Whose turn it is, as a template without its marks leaves it before an answer.
WHOSE = re.compile(r"\A\s*(?:assistant\n\n+|assistant: ?(?=\S))", re.IGNORECASE)
# The next turn, which a model went on to write: no dialogue before it, and nothing that announces one.
LEAKED = re.compile(
    r"\n\s*(?:###\s?(?:Instruction|Human|User|Input)\s?:|\n(?:Human|User|HUMAN|USER) ?:"
    r"|(?:Human|User) ?: ?[^\n]*\n+(?:Assistant|AI|Bot) ?:)"
)
SPEAKER = re.compile(r"^\W{0,4}(?:Human|User|Assistant|AI|Bot|Me|You|System|Customer|Agent)\W{0,3}:", re.IGNORECASE | re.MULTILINE)
TALK = re.compile(
    r"\b(?:special|control|stop|end|eos|bos|eot|reasoning|thinking)[- ]?(?:of[- ]\w+ )?(?:tokens?|tags?|marks?|markers?)\b|chat"
    r" ?template|tokeni[sz]er|chatml|\bprompt format|\bthe tags?\b",
    re.IGNORECASE,
)


class Taken(NamedTuple):
    """What is left of a text, what was taken out of it, and whether it broke off in its reasoning."""

    text: str
    kinds: tuple[str, ...]
    unfinished: bool = False


def take_out_all(texts: pa.Array[Any], answers: pa.Array[Any], *, reasoning: bool) -> tuple[pa.Array[Any], pa.Array[Any], Counter[str]]:
    """Every text without what is no part of it; where an answer broke off in its reasoning; how many texts lost something of each kind."""
    mask = filled(pc.match_substring_regex(texts, SUSPECT), False)
    rows = zip(strings(texts.filter(mask)), answers.filter(mask).to_pylist(), strict=True)
    taken = [take_out(text, answer=bool(answer), reasoning=reasoning) for text, answer in rows]
    left = replaced(texts, mask, pa.array([one.text for one in taken], texts.type))
    broken = replaced(pa.repeat(False, len(texts)), mask, pa.array([one.unfinished for one in taken], pa.bool_()))
    return left, broken, Counter(kind for one in taken for kind in one.kinds)


def take_out(text: str, *, answer: bool, reasoning: bool) -> Taken:
    """A text without control marks; an answer also without what follows an end mark, and without its reasoning, or with it in one form."""
    if not answer or reasoning:
        return _bare(text, answer=answer)
    answer_text, thought, broken = parted(text)
    left = _bare(answer_text, answer=True, reasoning=False)
    if not thought:
        return Taken(text if answer_text == text and not left.kinds else left.text, left.kinds, broken)
    return Taken((THINK.format(without_marks(thought, answer=False)) + left.text).rstrip(), left.kinds, broken)


def _bare(text: str, *, answer: bool, reasoning: bool = True) -> Taken:
    """A text without control marks, and without reasoning if so asked."""
    kinds: list[str] = []
    answer_text, broken = without_reasoning(text) if answer and reasoning else (text, False)
    if answer_text != text:
        kinds.append("reasoning")
    if TALK.search(answer_text):
        return Taken(answer_text, tuple(kinds), broken)
    bare = without_marks(answer_text, answer=answer)
    if bare != answer_text:
        kinds.append("control marks")
    whole = _before_leak(bare) if answer else bare
    if whole != bare:
        kinds.append("leaked turns")
    return Taken(whole.strip("\n ") if kinds else text, tuple(kinds), broken)


def without_reasoning(text: str) -> tuple[str, bool]:
    """The answer behind its reasoning; and whether the reasoning was cut off, so that no answer came."""
    answer, _, broken = parted(text)
    return answer, broken


def parted(text: str) -> tuple[str, str, bool]:
    """The answer, the reasoning before it, and whether that was cut off, so that no answer came."""
    thoughts: list[str] = []
    answer, broken = _parted(text, thoughts)
    return answer, "\n\n".join(filter(None, map(str.strip, thoughts))), broken


def _parted(text: str, thoughts: list[str]) -> tuple[str, bool]:
    """Answer and whether it is missing; what was thought is put to `thoughts`."""
    if CHANNEL.search(text):
        finals = FINAL.findall(text)
        thoughts += UNSEEN.findall(text)
        return ("\n".join(finals).strip(), False) if finals else ("", True)
    whole = text
    if bare := BARE_FINAL.match(text):
        thoughts.append(bare[1])
        whole = text[bare.end() :]
    if fenced := FENCE.match(whole):
        thoughts.append(fenced[2])
        whole = whole[fenced.end() :]
    small = text.lower()
    for block in (block for block in BLOCKS if block.sign in small):
        whole, broken = _without_blocks(whole, block, thoughts)
        if broken:
            return whole.strip(), not whole.strip()
        last = [found for found in block.lone.finditer(whole) if found[1] is None] if block.alone else []
        if last:
            thoughts.append(whole[: last[-1].start()])
            whole = whole[last[-1].end() :]
    if whole == text:
        return text, False
    inner = ANSWER.match(whole)
    return (inner[1] if inner else whole).strip(), False


def _without_blocks(text: str, block: Block, thoughts: list[str]) -> tuple[str, bool]:
    """The text without the blocks of a kind, which are put to `thoughts`; and whether the last one was never closed."""
    parts, at, place = [], 0, 0
    while start := block.opening.search(text, place):
        place = start.end()
        if start[1] is not None:
            continue
        parts.append(text[at : start.start()])
        end = block.closing.search(text, start.end())
        if not any(work in start[0] for work in WORK):
            thoughts.append(unfolded(text[start.end() : end.start() if end else len(text)]))
        if end is None:
            return "".join(parts), True
        at = place = end.end()
    return "".join([*parts, text[at:]]), False


def unfolded(block: str) -> str:
    """Reasoning as it was before a front end folded it: without a heading, quotation marks and entities."""
    if not (heading := FOLDED.match(block)):
        return block
    lines = html.unescape(block[heading.end() :]).strip().split("\n")
    return "\n".join(re.sub(r"^> ?", "", line) for line in lines)


def without_marks(text: str, *, answer: bool) -> str:
    """The text without control marks; an answer ends at the first end mark behind some words."""
    if answer:
        echoed = text.rpartition("[/INST]")[2]
        text = DONE.sub("", echoed if echoed.strip() and "`" not in text else text)
        whole = OPENED.sub(r"\1", text)
        left = WHOSE.sub("", whole)
        text = whole if SPEAKER.search(left) else left
        for found in ENDS.finditer(text):
            if found[1] is None and MARKS.sub("", text[: found.start()]).strip():
                text = text[: found.start()]
                break
    text = MARKS.sub(lambda found: found[1] or "", text)
    return text if STRIKE.search(text) else SENTENCE.sub("", text)


def _before_leak(text: str) -> str:
    """The answer before the next turn that its model wrote as well."""
    found = LEAKED.search(text)
    if found is None:
        return text
    before = text[: found.start()]
    return text if not before.strip() or before.rstrip().endswith(":") or SPEAKER.search(before) or "```" in before else before

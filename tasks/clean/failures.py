"""Error messages in place of an answer, recognised by their form: those of SDKs, gateways and servers of any provider.

In: texts. Out: a mask. `failed_answers.yaml` lists literal texts; here are general patterns: the name of an SDK's exception, an HTTP status
after the word error, a JSON object that holds only an error. Only short texts of few lines match; answers that explain an error are
recognised by their words (`explaining` there).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled
from tasks.core.params import StageParams
from tasks.core.wordlists import with_shipped

SHIPPED = Path(__file__).with_name("failed_answers.yaml")
FAILED = (
    "RateLimit|APIConnection|APITimeout|APIStatus|APIResponse|InternalServer|ServiceUnavailable|Overloaded|ContextWindowExceeded"
    "|ContentPolicyViolation|InvalidRequest|Throttling|ModelNotReady|ModelTimeout|ModelStream|ReadTimeout|ConnectTimeout|RemoteProtocol"
)
STATUS = "40[0-9]|41[0-9]|42[0-9]|43[01]|451|50[0-9]|52[0-9]|530"
PATTERNS = (  # RE2 for the whole text after leading signs and an optional "Error:"
    rf"(?:[\w.]+\.)?(?:{FAILED})(?:Error|Exception)\s*[:(].*",
    r"(?:google\.api_core\.exceptions|google\.genai\.errors|botocore\.(?:errorfactory|exceptions)|openai|anthropic|groq|mistralai|cohere"
    r"|httpx|httpcore|aiohttp\.client_exceptions|requests\.exceptions|urllib3\.exceptions|litellm(?:\.exceptions)?)\."
    r"\w*(?:Error|Exception|Timeout|Exhausted|Unavailable|Exceeded|Argument|Denied)\b.*",
    rf"(?:an? )?(?:\w+ ){{0,4}}(?:error|failed|failure)\b[^\n]{{0,40}}(?:status|code|http|error|:)[^\n\w]{{0,3}}(?:code:? )?"
    rf"(?:{STATUS})\b[^\n]{{0,160}}",
    rf"(?:error|failed) \(?(?:{STATUS})\)?\b[^\n]{{0,160}}",
    rf"(?:failed|unable) to (?:generate|get|fetch|load|stream|receive|complete|process)\b[^\n]{{0,80}}\b(?:{STATUS})\b[^\n]{{0,120}}",
    r"\[?GoogleGenerativeAI Error\]?.*",
    r"\{\s*['\"](?:error|detail)['\"]\s*:\s*(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|null)\s*\}",
    r"(?:i'm |i am )?(?:sorry|oops|apologies)[,!.]? (?:but )?(?:i |we |there |it |an |something )(?:have |has |had )?"
    r"(?:encountered |ran into |was |went )?(?:an |some )?(?:internal |unexpected |server |network |technical )?(?:error|issue|problem)"
    r"(?: has)?(?: occurred)?(?: while| when| during)? ?(?:processing|generating|completing|handling|fetching|with)"
    r"(?: your| the| this| my| a)? (?:request|response|message|answer|reply)[^\n]{0,80}",
    r"an? (?:internal|unexpected|unknown|network) (?:server )?error (?:has )?occurred\b[^\n]{0,80}",
    r"the model `[^`\n]{1,80}` (?:does not exist|is not available|was not found|has been deprecated)[^\n]{0,120}",
    r"model ['\"`][^'\"`\n]{1,80}['\"`] not found[^\n]{0,80}",
    r"model requires more system memory \([^\n]{1,80}",
    r"(?:stream|streaming) error: [^\n]{1,120}",
    r"(?:context_length_exceeded|rate_limit_exceeded|insufficient_quota|model_not_found|content_filter|server_error)[.:]?[^\n]{0,80}",
    r"(?:the )?(?:request|operation|connection|stream|response) (?:has )?timed out[.!]?",
    r"(?:overloaded|service unavailable|server error|connection reset by peer|message limit reached|usage limit reached)[.!]?",
    r"claude (?:is currently at capacity|will return soon|hit the maximum length)[^\n]{0,120}",
)
SIGNS = r"[\s*_$\"'`>#⚠️❌.:!(-]*"
SUSPECT = (  # RE2: every failure has one of these words
    r"(?i)error|fail|timed out|overloaded|unavailable|exhausted|throttl|exceeded|limit reached|quota|not found|does not exist|capacity"
    r"|memory|exceptions?\.|timeout|content_filter|reset by peer|sorry|oops|apologies|return soon|not available|openai\.|anthropic\."
)
WHOLE = rf"(?is)\A{SIGNS}(?:(?:error|exception|failed)\s*[:!]\s*)?(?:{'|'.join(PATTERNS)})\s*\z"


class FailedAnswers(StageParams):
    """Literal texts of error messages in place of an answer."""

    error_banners: list[str]  # how the texts begin; case and leading signs do not matter
    error_messages: list[str]  # the same for texts that hold nothing else
    explaining: list[str]  # words by which an answer that begins so shows that it is one all the same


def known(more: FailedAnswers) -> FailedAnswers:
    """The shipped lists, and more."""
    return with_shipped(SHIPPED, more)


def are_failures(texts: pa.Array[Any] | pa.ChunkedArray[Any], max_chars: int, candidates: pa.Array[Any] | None = None) -> pa.BooleanArray:
    """Mask of the texts, among the `candidates`, that have the form of an error message."""
    whole = cast("pa.LargeStringArray", texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
    short = filled(pc.less_equal(pc.binary_length(whole), pa.scalar(4 * max_chars)), False)
    places = pc.indices_nonzero(short if candidates is None else pc.and_(short, candidates))
    few = whole.take(places)
    likely = pc.and_(pc.match_substring_regex(few, SUSPECT), pc.less_equal(pc.utf8_length(few), pa.scalar(max_chars)))
    matches = places.filter(likely).filter(pc.match_substring_regex(few.filter(likely), WHOLE))
    mask = np.zeros(len(whole), bool)
    mask[matches.to_numpy()] = True
    return pa.array(mask)

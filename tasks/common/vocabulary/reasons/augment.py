"""Why `augment` drops a variant that it made."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

NO_USER_MESSAGE: Final = "no_user_message"
TOO_SHORT: Final = "too_short"
TOO_LONG: Final = "too_long"
UNTRANSLATED: Final = "untranslated"
LOST_CODE: Final = "lost_code"
LOST_LINK: Final = "lost_link"
LOST_PLACEHOLDER: Final = "lost_placeholder"
LOST_NUMBER: Final = "lost_number"
LOST_NAME: Final = "lost_name"
LOST_NEGATION: Final = "lost_negation"
UNCHANGED: Final = "unchanged"
TOO_DIFFERENT: Final = "too_different"
COLLIDES: Final = "collides"

REASONS: Reasons = declare(
    "augment",
    {
        "candidates": {
            NO_USER_MESSAGE: "the prompt has no message of a user to reword",
            TOO_SHORT: "a text to reword has fewer words than `augment.min_words`",
            TOO_LONG: "a text to reword has more characters than `augment.max_chars`",
            UNTRANSLATED: "the translator gave nothing back",
            LOST_CODE: "code in the text was changed",
            LOST_LINK: "a link or an address in the text was changed",
            LOST_PLACEHOLDER: "a placeholder in the text was changed",
            LOST_NUMBER: "a number in the text was changed",
            LOST_NAME: "a name in the text was changed",
            LOST_NEGATION: "a negation was lost or added",
            UNCHANGED: "the words are the same as before",
            TOO_DIFFERENT: "too little of the text is left, or it grew or shrank too much (`augment.augmenters.back_translation`)",
            COLLIDES: "another candidate has the same prompt",
        }
    },
)

"""Why `ingest` drops a row, and why it does not read a record, or a part of one.

`records` and `quarantine` are accounted for by the same words: `RECORDS` are those for which a record, or a whole file, gives nothing;
`NOTES` those of which users are told though the record is read. `LEFT_OUT` are records that were read and hold nothing to use.
"""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

REPEATED: Final = "repeated"
CONFLICTING: Final = "conflicting"
TAKEN_BACK: Final = "taken_back"
ERASED: Final = "erased"

# of records and files
ANOTHER_CONVERSATION: Final = "another_conversation"
BAD_CONTENT: Final = "bad_content"
BAD_MESSAGE: Final = "bad_message"
BAD_TOOL_CALL: Final = "bad_tool_call"
BAD_TOOLS: Final = "bad_tools"
BOMB: Final = "bomb"
BROKEN_ARCHIVE: Final = "broken_archive"
BROKEN_BYTE: Final = "broken_byte"
CANNOT_BE_READ: Final = "cannot_be_read"
CHANGED: Final = "changed"
CYCLE: Final = "cycle"
DANGLING_LINK: Final = "dangling_link"
DUPLICATE_ID: Final = "duplicate_id"
EMPTY_ANSWER: Final = "empty_answer"
ENCODING: Final = "encoding"
ENCRYPTED: Final = "encrypted"
FAILED_REVIEW: Final = "failed_review"
HISTORIES_DIFFER: Final = "histories_differ"
IDENTICAL_PAIR: Final = "identical_pair"
INCOMPLETE_SNAPSHOT: Final = "incomplete_snapshot"
INTERNAL_CHAT: Final = "internal_chat"
LOG_PREFIX: Final = "log_prefix"
MISSING_PARENT: Final = "missing_parent"
NO_ANSWER: Final = "no_answer"
NO_CONTENT: Final = "no_content"
NO_ID: Final = "no_id"
NO_MESSAGES: Final = "no_messages"
NO_PROMPT: Final = "no_prompt"
NO_RATING: Final = "no_rating"
NO_STATES: Final = "no_states"
NO_SUCH_MESSAGE: Final = "no_such_message"
NO_TARGET: Final = "no_target"
NO_TRANSCRIPT: Final = "no_transcript"
NOT_A_FILE: Final = "not_a_file"
NOT_A_LOG: Final = "not_a_log"
NOT_AN_ANSWER: Final = "not_an_answer"
NOT_AN_OBJECT: Final = "not_an_object"
NOT_A_VOTE: Final = "not_a_vote"
NOT_JSON: Final = "not_json"
NOT_UTF8: Final = "not_utf8"
ODD_NAME: Final = "odd_name"
OUTWARD_LINK: Final = "outward_link"
PROMPTS_DIFFER: Final = "prompts_differ"
ROLES_NOT_ALTERNATING: Final = "roles_not_alternating"
SAME_FILE: Final = "same_file"
SCORES_CONTRADICT: Final = "scores_contradict"
SHARED_COPY: Final = "shared_copy"
STALE_RATING: Final = "stale_rating"
TEXT_LINE: Final = "text_line"
TOO_DEEP: Final = "too_deep"
TOO_MANY_MEMBERS: Final = "too_many_members"
TWO_CONVERSATIONS: Final = "two_conversations"
TWO_MESSAGES: Final = "two_messages"
UNFINISHED: Final = "unfinished"
UNKNOWN_ANNOTATOR: Final = "unknown_annotator"
UNKNOWN_FORMAT: Final = "unknown_format"
UNKNOWN_KIND: Final = "unknown_kind"
UNKNOWN_ROLE: Final = "unknown_role"
UNREAD_ARCHIVE: Final = "unread_archive"
UNREAD_TIME: Final = "unread_time"
UNREAD_VOTE: Final = "unread_vote"
WINDOWS_1252: Final = "windows_1252"
WRAPPED: Final = "wrapped"
WRONG_FORMAT: Final = "wrong_format"

# Records that were read and hold nothing to use: no fault of the reading.
LEFT_OUT: dict[str, str] = {
    SHARED_COPY: "it is the copy of a chat that was shared; the chat itself is read",
    INTERNAL_CHAT: "it is a chat of the application with the model, not of a person",
    FAILED_REVIEW: "the log marks the message, or the first one of its tree, as having failed review",
    IDENTICAL_PAIR: "chosen and rejected are the same",
    EMPTY_ANSWER: "the last answer of one of the two sides is empty",
    PROMPTS_DIFFER: "chosen and rejected differ before the last answer, so they compare no two answers to one prompt",
    NO_ANSWER: "what should end with an answer does not",
    UNFINISHED: "an answer was still being written",
    NOT_A_VOTE: "it is a line of the server's log about something else than a chat or a vote",
}

# Records, members and files that cannot be read.
UNREAD: dict[str, str] = {
    NOT_JSON: "it is no JSON, and cannot be mended without guessing",
    NOT_AN_OBJECT: "it is JSON, but no object",
    TOO_DEEP: "it is nested deeper than any log, or an archive lies in too many others (`ingest.unpack.max_depth`)",
    NOT_UTF8: "its bytes are neither UTF-8 nor Windows-1252",
    UNKNOWN_FORMAT: "no reader knows such a record",
    WRONG_FORMAT: "`ingest.formats` forces a reader that does not know such a record",
    NOT_A_LOG: "the file holds no JSON at all",
    NO_ID: "it lacks the id of its conversation or message",
    NO_MESSAGES: "it lacks the messages, or they are no list of objects",
    BAD_MESSAGE: "one of its messages lacks what every message of the format has",
    BAD_CONTENT: "the content of a message is neither text nor a list of parts",
    NO_CONTENT: "a message has no content",
    BAD_TOOLS: "the schema of an offered tool cannot be written as JSON of 64-bit numbers",
    BAD_TOOL_CALL: "the arguments of a tool call cannot be written as JSON of 64-bit numbers",
    NO_PROMPT: "it holds two answers without a prompt",
    NO_STATES: "a battle without its two states",
    NO_TRANSCRIPT: "it is no transcript that begins with a turn marker",
    NO_TARGET: "feedback that names no chat and message",
    SCORES_CONTRADICT: "the rejected side has the higher score",
    UNKNOWN_KIND: "feedback of a kind that does not exist",
    UNKNOWN_ANNOTATOR: "`annotator_kind` is neither person nor model",
    UNKNOWN_ROLE: "no message has a role that is known; `ingest.roles` says whose a name is",
    DUPLICATE_ID: "two of its messages have the same id",
    CYCLE: "its messages lead back to themselves",
    CANNOT_BE_READ: "the operating system does not let it be read",
    DANGLING_LINK: "a link that leads to nothing",
    NOT_A_FILE: "a pipe, socket or device",
    BROKEN_ARCHIVE: "packed data that breaks off; what stands before is read",
    UNREAD_ARCHIVE: "an archive of a kind that is not unpacked here",
    ENCRYPTED: "an archive with a password",
    BOMB: "it unpacks to more than `ingest.unpack` allows",
    TOO_MANY_MEMBERS: "an archive with more members than `ingest.unpack.max_members`; the others are not read",
}

# What users are told of records and files that are read all the same; some parts of them may be left out.
NOTES: dict[str, str] = {
    UNREAD_VOTE: "a key that looks like a vote is not read",
    UNREAD_TIME: "times of this spelling are not read, or may mean two days; they are null",
    WINDOWS_1252: "no UTF-8; read as Windows-1252",
    BROKEN_BYTE: "bytes that are no UTF-8 became U+FFFD",
    TEXT_LINE: "lines without JSON are not read",
    ENCODING: "in another encoding than UTF-8, read as such",
    LOG_PREFIX: "text that a log collector wrote before the JSON is left out",
    WRAPPED: "the record stands inside a key of another",
    SAME_FILE: "the same bytes lie there under several names; read once",
    CHANGED: "the file changed while it was read",
    ODD_NAME: "the file's name is no UTF-8 or cannot be printed",
    OUTWARD_LINK: "a link that leads out of the folder",
    MISSING_PARENT: "a message before this one is in no file",
    ROLES_NOT_ALTERNATING: "a user or an assistant speaks twice in a row, or an assistant first",
    HISTORIES_DIFFER: "the two answers do not follow the same messages: only the turns stay, not the vote",
    NOT_AN_ANSWER: "votes on messages of users are left out",
    ANOTHER_CONVERSATION: "another conversation has the same id and begins otherwise: both are kept, under two ids",
    NO_SUCH_MESSAGE: "an act names a message by a number that is no message's id",
    TWO_MESSAGES: "an act names a number that is the id of one message and the place of another: it names neither",
    TWO_CONVERSATIONS: "an act could be about any of several conversations with one id: it names none of their messages",
    STALE_RATING: "stars that contradict the thumb, left over from before it was switched, are left out",
    NO_RATING: "a row of feedback without a rating or a comment",
    INCOMPLETE_SNAPSHOT: "the snapshot of the chat lacks the voted answer",
}

REASONS: Reasons = declare(
    "ingest",
    {
        "turns": {
            REPEATED: "another record tells the same turn with the same content",
            CONFLICTING: "another record tells another version of the turn, which is newer or the one that was voted on",
            ERASED: "its person asked to be forgotten, or it is older than is kept; nothing but its place in the raw logs is written",
        },
        "feedback": {
            REPEATED: "another record tells the same act",
            CONFLICTING: "another record tells a newer state of the act",
            TAKEN_BACK: "the person took the vote back; also of the act that did so",
            ERASED: "its person, or that of the answer, asked to be forgotten, or it is older than is kept; only its place is written",
        },
        "records": {**LEFT_OUT, **UNREAD},
        "quarantine": {**LEFT_OUT, **UNREAD, **NOTES},
    },
)

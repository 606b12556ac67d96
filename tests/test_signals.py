"""Claims about what users' next turns say of the answers before them: thanks, complaints, the same question again."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tasks.aggregate import implicit_feedback
from tasks.aggregate import stage as aggregate
from tasks.common.phrases import plain
from tasks.core.ledger import Account
from tasks.core.tables import TEXT
from tests.builders.chatlog import AGGREGATE, SIGNALS, ChatLog, accounts, dropped

SETTINGS = implicit_feedback.Settings.model_validate(SIGNALS)


def run(log: ChatLog, shuffle: int | None = None, **changed: object) -> dict[str, Account]:
    tables = log.tables(shuffle)
    params = aggregate.Params.model_validate(AGGREGATE | {"unjudged": "none", "signals": SIGNALS | changed})
    return accounts("aggregate", aggregate.run(tables, params), tables)


def votes(log: ChatLog, **changed: Any) -> list[tuple[str, str, Any]]:
    """(kind, phrase, value or (better, worse)) of every vote; answers by their text."""
    found = []
    for row in run(log, **changed)["candidates"].kept.to_pylist():
        name = {response["response_id"]: response["content"] for response in row["responses"]}
        for vote in row["votes"]:
            said = (name[vote["better"]], name[vote["worse"]]) if vote["better"] else (name[vote["response_id"]], vote["value"])
            found.append((vote["kind"], vote["raw"], said))
    return sorted(found)


def kind_of(message: str, answer: str = "The answer.") -> str | None:
    kinds, _ = implicit_feedback.opinions(plain(pa.array([message], TEXT)), pa.array([answer], TEXT), SETTINGS)
    found: str | None = kinds[0]
    return found


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Thanks!", "thanks"),
        ("thank you so much, that's all", "thanks"),
        ("Ok, thanks. And how about pasta?", "thanks"),
        ("Great, thank you!", "thanks"),
        ("Perfect 👍", "thanks"),
        ("That’s perfect.", "thanks"),
        ("THX", "thanks"),
        ("I appreciate it, bye", "thanks"),
        ("¡Muchas gracias!", "thanks"),
        ("Vale, gracias", "thanks"),
        ("Vielen Dank für die Hilfe", "thanks"),
        ("Alles klar, danke schön", "thanks"),
        ("Merci beaucoup !", "thanks"),
        ("D'accord, merci", "thanks"),
        ("谢谢你的帮助", "thanks"),
        ("好的，谢谢！", "thanks"),
        ("太棒了", "thanks"),
        ("Muito obrigada!", "thanks"),
        ("Grazie mille", "thanks"),
        ("That's wrong.", "complaint"),
        ("No, that’s not what I asked", "complaint"),
        ("that is incorrect, it was 1969", "complaint"),
        ("You didn't answer my question", "complaint"),
        ("Wrong", "complaint"),
        ("That is not what I meant!", "complaint"),
        ("Das ist nicht das, was ich meinte", "complaint"),
        ("still wrong, line 3 fails", "complaint"),
        ("Eso no es correcto", "complaint"),
        ("No, eso no es lo que pregunté", "complaint"),
        ("Te equivocas.", "complaint"),
        ("Das stimmt nicht!", "complaint"),
        ("Nein, das ist falsch", "complaint"),
        ("Ce n'est pas ce que j'ai demandé", "complaint"),
        ("Non, c'est faux.", "complaint"),
        ("不对", "complaint"),
        ("答非所问！", "complaint"),
        ("你错了，是1969年", "complaint"),
        ("But this answer is not correct", "complaint"),
        ("it is far older though", "complaint"),
        ("That's not a haiku!", "complaint"),
        ("Seems like you are inventing this", "complaint"),
        ("The hero has to be a woman of seventy", "complaint"),
        ("There are only two columns in it", "complaint"),
        ("you're making this up", "complaint"),
        ("Try again, with fewer words", "complaint"),
        ("Das ist kein Gedicht", "complaint"),
        ("Tu as oublié la dernière ligne", "complaint"),
        ("你漏了最后一行", "complaint"),
    ],
)
def test_short_messages_that_begin_with_a_phrase_count(message: str, kind: str) -> None:
    assert kind_of(message) == kind


@pytest.mark.parametrize(
    "message",
    [
        "No thanks",
        "no, thank you",
        "Thanks, but that's the old version",
        "thanks for nothing",
        "Thanks in advance",
        "Thanks anyway",
        "thanks, that didn't help",
        "Thanks to the rain we stayed in",
        "Thank you letter for my boss",
        "How do you say thank you in French?",
        "thank you in Japanese",
        "Write a note that says thanks",
        "Thanksgiving recipes",
        "perfect numbers below 100",
        "great white sharks",
        "Thanks, that's wrong",
        "No gracias",
        "Gracias, pero no es eso",
        "gracias por nada",
        "Nein danke",
        "Danke, aber das meinte ich nicht",
        "Danke im Voraus",
        "Non merci",
        "merci mais c'est trop long",
        "Merci d'avance",
        "不用谢",
        "谢谢，但是不对",
        "谢谢，不用了",
        "写一封感谢信",
        "Não, obrigado",
        "No grazie",
        "That's not wrong",
        "That's not bad at all",
        "And how old is it?",
        "Now the same for pasta.",
        "We are five, and one of us is a vegetarian.",
        "What else has to go in?",
        "The next one, please.",
        "Is that wrong?",
        "wrong turn, the movie",
        "Why is that wrong?",
        "That's wrong, sorry, I meant 5",
        "you are wrong or not",
        "What is wrong with my code?",
        "It's not what I expected, I like it better",
        "incorrect passwords per minute",
        "Eso es falso, ¿verdad?",
        "Das ist falsch oder?",
        "falsche Freunde im Deutschen",
        "这是错的吗",
        "不对称加密是什么",
        "yes",
        "",
        "?!",
    ],
)
def test_messages_that_only_look_alike_do_not_count(message: str) -> None:
    assert kind_of(message) is None


@pytest.mark.parametrize(
    ("message", "reply"),
    [("Great", None), ("wrong", None), ("sehr gut", None), ("The book has to be red", None), ("Great, thanks", "thanks")],
)
def test_a_phrase_alone_may_answer_what_the_answer_asked(message: str, reply: str | None) -> None:
    assert kind_of(message, 'How was it, "the book"?') == reply
    assert kind_of(message) is not None


def test_message_longer_than_the_parameter_does_not_count() -> None:
    log = ChatLog()
    log.chat("c", "How long do I boil rice?", "Twelve minutes.", "Thanks for that")
    assert votes(log, max_chars=15) == [("thanks", "thanks", ("Twelve minutes.", 1.0))]
    assert votes(log, max_chars=14) == []


def test_signal_is_a_made_act_of_the_person_who_chats() -> None:
    log = ChatLog()
    log.chat("c", "How long do I boil rice?", "Twelve minutes.", "That’s wrong!", user_id="p1", created_at=None)
    found = run(log)
    assert (found["feedback"].rows_in, found["feedback"].made) == (0, 1)
    (act,) = found["feedback"].kept.to_pylist()
    assert (act["kind"], act["turn_id"], act["label"], act["value"]) == ("complaint", "a1", "thats wrong", -1.0)
    assert (act["annotator"], act["annotator_kind"], act["origin"]["position"], act["text"]) == ("p1", "person", 2, None)
    (row,) = found["candidates"].kept.to_pylist()
    (vote,) = row["votes"]
    assert (vote["value"], vote["raw"], vote["annotator"], vote["feedback_id"]) == (-1.0, "thats wrong", "p1", act["feedback_id"])
    assert row["responses"][0]["downs"] == 0, "never counted as a thumb"
    assert row["evidence"] == "signal"


def test_ids_do_not_depend_on_the_order_of_the_input() -> None:
    log = ChatLog()
    for number in range(5):
        log.chat(f"c{number}", "How long do I boil rice?", f"{number} minutes.", "Thanks", "You're welcome.", "that's wrong")
    first, second = run(log), run(log, shuffle=3)
    assert first["feedback"].kept.equals(second["feedback"].kept)
    assert first["candidates"].kept.equals(second["candidates"].kept)
    assert len(set(first["feedback"].kept["feedback_id"].to_pylist())) == 10


def test_what_follows_no_answer_says_nothing() -> None:
    log = ChatLog()
    log.say("c/a0", "Welcome!")
    log.say("c/u1", "Thanks", after="a0")
    log.say("d/u0", "Hello")
    log.say("d/u1", "Thanks", after="u0")
    assert run(log)["feedback"].made == 0


def test_later_turn_of_the_same_kind_supersedes_the_earlier() -> None:
    log = ChatLog()
    log.chat("c", "How long do I boil rice?", "Twelve minutes.", user_id="p")
    log.say("c/u2", "Thanks", after="a1", user_id="p")
    log.say("c/u3", "Thank you!", after="a1", user_id="p")
    assert list(dropped(run(log)["feedback"]).values()) == ["superseded"]


ASKED = "How long do I boil rice?"


def retried(*contents: str) -> ChatLog:
    log = ChatLog()
    log.chat("c", *contents, user_id="p")
    return log


@pytest.mark.parametrize(
    ("again", "label"),
    [
        (ASKED, "equal"),
        ("how long  do i boil rice", "equal"),
        ("Please, how long do I boil rice?", "near"),
        ("I said: how long do I boil rice", "near"),
    ],
)
def test_answer_to_the_repeat_is_better_than_the_first(again: str, label: str) -> None:
    assert votes(retried(ASKED, "An hour.", again, "Twelve minutes.")) == [("retry", label, ("Twelve minutes.", "An hour."))]


def test_both_answers_stand_under_the_first_prompt() -> None:
    found = run(retried(ASKED, "An hour.", ASKED, "Twelve minutes.", "ok"))
    (row,) = found["candidates"].kept.to_pylist()
    assert [message["content"] for message in row["prompt"]] == [ASKED]
    assert sorted((answer["content"], answer["turns"]) for answer in row["responses"]) == [
        ("An hour.", ["c/a1"]),
        ("Twelve minutes.", ["c/a3"]),
    ]
    assert row["evidence"] == "retry"
    assert row["votes"][0]["value"] is None
    assert found["turns"].kept["turn_id"].to_pylist() == ["u0", "a1", "a3"]


@pytest.mark.parametrize(
    ("asked", "again"),
    [
        (ASKED, "How long do I boil pasta?"),
        ("Play it with no subtitles", "Play it with subtitles"),
        ("What is 12 times 13, please?", "What is 12 times 14, please?"),
        ("does the cat chase the dog", "does the dog chase the cat"),
        ("Is it legal to do that?", "Is it illegal to do that?"),
        ("How long is it?", "How long is it in Peru?"),
        ("go on", "go on"),
        ("Tell me a good joke", "Tell me a good joke"),
        ("Can you find another hotel?", "Can you find another hotel?"),
        ("That works for me.", "That works for me."),
        ("请再讲一个笑话吧", "请再讲一个笑话吧"),
    ],
)
def test_what_is_not_the_same_question_is_no_retry(asked: str, again: str) -> None:
    assert votes(retried(asked, "An hour.", again, "Twelve minutes.")) == []


@pytest.mark.parametrize(
    "question", ["¿Cuánto tiempo se cuece el arroz?", "Wie lange kocht der Reis?", "Combien de temps cuit le riz ?", "米饭要煮多久"]
)
def test_repeats_are_found_in_any_language(question: str) -> None:
    assert len(votes(retried(question, "1", question.lower().strip("?¿ "), "2"))) == 1


def test_last_answer_is_better_than_all_before_it() -> None:
    log = retried(ASKED, "An hour.", ASKED, "Two hours.", f"Again: {ASKED}", "Twelve minutes.", "Thanks!")
    assert votes(log) == [
        ("retry", "equal", ("Twelve minutes.", "An hour.")),
        ("retry", "near", ("Twelve minutes.", "Two hours.")),
        ("thanks", "thanks", ("Twelve minutes.", 1.0)),
    ]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ((), "no_better_answer"),
        (("Two hours.", "That's wrong."), "no_better_answer"),
        (("I apologize for the confusion. Twelve minutes.",), "refers_back"),
        (("As I said, an hour.", "ok"), "refers_back"),
        (("An hour. ",), "same_answer"),
    ],
)
def test_repeat_without_a_better_answer_is_dropped_with_the_reason(rest: tuple[str, ...], reason: str) -> None:
    found = run(retried(ASKED, "An hour.", ASKED, *rest), use=["retry", "complaint"])
    acts = {act["kind"]: act["dropped"] for act in found["feedback"].dropped.to_pylist()}
    assert acts == {"retry": reason}


def test_repeat_with_two_answers_has_no_better_one() -> None:
    log = retried(ASKED, "An hour.", ASKED, "Twelve minutes.")
    log.say("c/a9", "Ten minutes.", after="u2")
    assert list(dropped(run(log)["feedback"]).values()) == ["no_better_answer"]


def test_switches_choose_the_kinds() -> None:
    log = retried(ASKED, "An hour.", ASKED, "Twelve minutes.", "Thanks", "Gladly.", "That's wrong")
    assert {kind for kind, *_ in votes(log)} == {"retry", "thanks", "complaint"}
    assert {kind for kind, *_ in votes(log, use=["retry"])} == {"retry"}
    assert votes(log, use=[]) == []


def test_shipped_phrases_match_their_own_kind() -> None:
    for name, settings in (("thanks", SETTINGS.phrases("thanks")), ("complaint", SETTINGS.phrases("complaint"))):
        for phrases in settings.phrases.values():
            said = [phrase.removesuffix(" *").replace(" * ", " one two ") for phrase in phrases]
            kinds, _ = implicit_feedback.opinions(plain(pa.array(said, TEXT)), pa.array(["The answer."] * len(said), TEXT), SETTINGS)
            assert dict(zip(phrases, kinds.tolist(), strict=True)) == dict.fromkeys(phrases, name)


def test_words_left_open_in_a_phrase_are_one_to_four() -> None:
    said = {"The is wrong": None, "The sum is wrong here": "complaint", "The sum of the two is wrong": "complaint"}
    said |= {"The sum of the two figures is wrong": None, "The sum is wrongly told": None}
    assert {message: kind_of(message) for message in said} == said
    assert votes(chat_of("The sum is wrong."))[0][1] == "the * is wrong", "the phrase, not what the person said"


def chat_of(message: str) -> ChatLog:
    """A chat in which a person says this of an answer."""
    log = ChatLog()
    log.chat("c", "How long do I boil rice?", "Twelve minutes.", message)
    return log


def test_votes_of_judging_models_are_not_counted_with_peoples() -> None:
    log = ChatLog()
    log.chat("c", ASKED, "Twelve minutes.")
    log.chat("d", "And pasta?", "Ten minutes.")
    log.act("thumb", "c/a1", 1, annotator_kind="model", annotator="m")
    log.act("rating", "c/a1", 1, annotator_kind="model", annotator="m")
    log.act("rating", "c/a1", 5, annotator="p")
    log.act("choice", "d", 1, better="a1", worse="a1", annotator_kind="model")
    log.act("rating", "d/a1", 1, annotator_kind="model", annotator="m")
    log.act("edit", "d/a1", text="Eleven minutes.", annotator_kind="model", annotator="m")
    rows = {row["prompt"][0]["content"]: row for row in run(log)["candidates"].kept.to_pylist()}
    judged, other = rows[ASKED], rows["And pasta?"]
    (answer,) = judged["responses"]
    assert (answer["ups"], answer["downs"], answer["ratings"], answer["score"]) == (0, 0, 1, 1.0)
    assert sorted((vote["kind"], vote["annotator_kind"]) for vote in judged["votes"]) == [
        ("rating", "model"),
        ("rating", "person"),
        ("thumb", "model"),
    ]
    assert (judged["evidence"], other["evidence"]) == ("rating", "judge")
    assert {response["written_by"] for response in other["responses"]} == {"model"}

"""Any chat template in use trains: what it lacks is put right, or the rows that it cannot write are left out and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import UserError
from tests.builders import chat_templates as built
from tests.builders import training
from trainer.data import chat_templates, encode
from trainer.data.chat_templates import ANSWER, PROMPT, SYSTEM
from trainer.data.release_reader import Example, Prompt
from trainer.models import model_io, saving, template_repairs
from trainer.models import tokenizer as tokenizers
from trainer.settings import ChatTemplate

EVERY = built.everything()
SPEAKS = {"role": "system", "content": "Be brief."}


def wanted(**other: Any) -> ChatTemplate:
    return ChatTemplate.model_validate({"file": "", "system": "fold", "enable_thinking": None} | other)


def fitted(template: str, **other: Any) -> tuple[Any, list[str]]:
    """A tokenizer with a repaired template, and what was repaired."""
    made = built.tokenizer(template)
    return made, template_repairs.fit(made, wanted(**other), "x")


@pytest.mark.parametrize("name", EVERY)
def test_every_template_in_use_trains_with_a_system_message_and_an_end(name: str) -> None:
    made, _ = fitted(EVERY[name])
    tokenizers.check(made, "x")
    for prompt in (PROMPT, SYSTEM + PROMPT):
        before, whole = chat_templates.both(made, prompt)
        assert all(message["content"] in before for message in prompt)
        answer = made(whole[len(before) :], add_special_tokens=False)["input_ids"]
        assert set(answer) & set(chat_templates.end_tokens(made)), "it learns to stop"
        assert set(made.batch_decode([[end] for end in chat_templates.end_tokens(made)])) <= {"</s>", *built.MARK.findall(EVERY[name])}


@pytest.mark.parametrize("name", ["qwen2_5", "llama3", "zephyr", "gemma3"])
def test_a_template_that_needs_nothing_stays_as_it_is(name: str) -> None:
    made, told = fitted(EVERY[name])
    assert (made.chat_template, told) == (EVERY[name], [])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gemma", "a system message is part of the first question"),
        ("mistral_7b_instruct_v0.1", "a system message is part of the first question"),
        ("mistral_7b_instruct_v0.3", "a system message is part of the first question"),
        ("glm_4", "an end behind the answer"),
        ("deepseekv3", "no opened thoughts before an answer"),
        ("nemotron_3_nano", "enable_thinking is false"),
        ("smolvlm", "messages in parts"),
    ],
)
def test_a_repair_is_told_changes_what_needs_it_alone_and_is_made_once(name: str, told: str) -> None:
    made, lines = fitted(EVERY[name])
    assert lines == [told]
    again = made.chat_template
    assert template_repairs.fit(made, wanted(), "x") == []
    assert made.chat_template == again
    plain = built.tokenizer(EVERY[name])
    if "system" in told:
        assert chat_templates.both(made, PROMPT) == chat_templates.both(plain, PROMPT)


def test_a_folded_system_message_stands_before_the_first_question_only() -> None:
    made, _ = fitted(built.MISTRAL_3)
    chat = [SPEAKS, *PROMPT, *ANSWER, {"role": "user", "content": "And then?"}]
    text = made.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    first = "<s>[INST] Be brief.\n\nHow long do I boil rice?[/INST]"
    assert text == f"{first} About 12 minutes.</s>[INST] And then?[/INST]"


def test_the_end_of_llama_2_is_its_end_and_not_the_space_before_it() -> None:
    made = built.tokenizer(built.LLAMA_2)
    assert made.convert_ids_to_tokens(chat_templates.closing_tokens(made)) == ["Ġ", "</s>"]
    assert chat_templates.end_tokens(made) == [made.eos_token_id]


def test_the_repaired_template_is_saved_with_the_model(tmp_path: Path) -> None:
    folder = training.tiny_model(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(built.GLM_4)
    model, made = model_io.load(str(folder))
    template_repairs.fit(made, wanted(), "x")
    saving.save(model, made, tmp_path / "saved")
    _, again = model_io.load(str(tmp_path / "saved"))
    assert again.chat_template == made.chat_template != built.GLM_4
    assert chat_templates.closes(again)


# --- parameters ---


def test_what_a_template_is_told_of_thinking_is_a_parameter() -> None:
    texts = [chat_templates.both(fitted(EVERY["qwen3"], enable_thinking=value)[0], PROMPT)[0] for value in (None, True, False)]
    assert texts[0] == texts[1]
    assert texts[2] == texts[0] + "<think>\n\n</think>\n\n"
    with pytest.raises(UserError, match="enable_thinking: true: found a chat template that does not read it"):
        fitted(built.ZEPHYR, enable_thinking=True)


def test_a_template_of_ones_own_is_a_parameter(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text(built.ZEPHYR)
    made, told = fitted(built.LLAMA_2, file=str(tmp_path / "own.jinja"))
    assert (made.chat_template, told) == (built.ZEPHYR, [f"the file {tmp_path}/own.jinja"])
    with pytest.raises(UserError, match=r"start.chat_template.file: .*none.jinja: found No such file") as caught:
        fitted(built.LLAMA_2, file=str(tmp_path / "none.jinja"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"a tokenizer without chat template; .* start.chat_template.file"):
        fitted("")


def test_a_template_that_nothing_ends_is_refused() -> None:
    made = built.tokenizer(built.GLM_4)
    made.eos_token = None
    template_repairs.fit(made, wanted(), "x")
    with pytest.raises(UserError, match="closes no answer, and a tokenizer without a token for an end"):
        tokenizers.check(made, "x")


# --- rows ---


def pair(*roles: str) -> Any:
    from dataclasses import replace

    made = training.pair("Why?", "Because.", "So.")
    return replace(made, prompt=[{"role": role, "content": f"{role} {at}"} for at, role in enumerate(roles)])


def test_rows_whose_system_message_has_no_place_are_left_out_and_counted() -> None:
    made, told = fitted(built.MISTRAL_3, system="drop")
    assert told == []
    tokenizers.check(made, "x")
    found = encode.encode([pair("user"), pair("system", "user"), pair("user", "assistant", "user")], made, 999)
    assert ([len(row.pair.prompt) for row in found.kept], found.reasons) == ([1, 3], {"system_message": 1})
    prompts = [Prompt("p", pair(*roles).prompt, "", "en", "") for roles in (("user",), ("system", "user"))]
    assert encode.encode_prompts(prompts, made, 999)[1] == {"system_message": 1}
    examples = [Example("e", one.prompt, one.completion, True, "", "", "en", "", 1.0) for one in map(_example, prompts)]
    assert encode.encode_examples(examples, made, 999).reasons == {"system_message": 1}


def _example(prompt: Prompt) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(prompt=prompt.prompt, completion=ANSWER)


def test_rows_that_the_template_refuses_are_left_out_and_counted() -> None:
    made, _ = fitted(built.MISTRAL_1)
    found = encode.encode([pair("user", "user"), pair("system", "user"), pair("user", "tool")], made, 999)
    assert (len(found.kept), found.reasons) == (1, {"template_refuses": 2})
    prompts = [Prompt("p", pair(*roles).prompt, "", "en", "") for roles in (("user", "user"), ("user",))]
    rows, reasons = encode.encode_prompts(prompts, made, 999)
    assert (len(rows), reasons) == (1, {"template_refuses": 1})

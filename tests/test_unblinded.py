"""Claims about answers that say which model wrote them, with the words of params.yaml."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tasks.core import params
from tasks.core.tables import TEXT
from tasks.pair import stage as pair
from tasks.pair.self_identification import named
from tests.conftest import ROOT

OWN = params.load(ROOT / "params.yaml", "pair", pair.Params).identity


@pytest.mark.parametrize(
    "text",
    [
        "I am Claude, made by Anthropic, and of course I can help.",
        "Hello! I'm ChatGPT, a large language model trained by OpenAI.",
        "I\u2019m an AI assistant called **Claude**.",
        "As a large language model, trained by Google, I cannot say.",
        "I was created by the team at Mistral AI.",
        "I am GPT-4.",
        "I'm Qwen2.5, created by Alibaba Cloud",
        "Ich wurde von Anthropic entwickelt.",
        "Je suis Claude, un assistant.",
        "Soy un modelo de lenguaje desarrollado por OpenAI.",
        "我是通义千问，由阿里云开发。",
        "我是由OpenAI开发的人工智能助手",
        "私はOpenAIが開発したAIです",
    ],
)
def test_an_answer_that_names_its_model_or_its_maker_says_so(text: str) -> None:
    assert named(pa.array([text], TEXT), OWN).tolist() == [True]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "You could ask ChatGPT, or Claude.",
        "I am Claude Monet, and I paint.",
        "I am an AI language model. Google was founded in 1998.",
        "I am happy to explain how Google works.",
        "I am a koala.",
        "I was on Amazon when it happened.",
        "As Google says, companies such as Microsoft grow.",
        "OpenAI was founded in 2015.",
        "我喜欢百度的地图",
    ],
)
def test_an_answer_about_a_model_or_a_maker_does_not(text: str | None) -> None:
    assert named(pa.array([text], TEXT), OWN).tolist() == [False]

"""A reply stands under the name of the model that gave it: names that servers are known to change
are alike, and no others.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.chat.served import ServedModels, is_same_model
from lm_eval_safescale.errors import SafescaleError

ALIKE = [
    ("gpt-4o", "gpt-4o"),
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("GPT-4o", "gpt-4o-2024-08-06"),
    ("openai/gpt-4o", "gpt-4o"),
    ("gpt-4o", "openai/gpt-4o"),
    ("openai/gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4", "gpt-4-0613"),
    ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    ("mistral-large-latest", "mistral-large-2411"),
    ("mistral-large-latest", "mistral-large-latest"),
    ("mistral-large-latest", "mistral-large"),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
    ("claude-3-5-sonnet", "claude-3-5-sonnet@20241022"),
    ("gemini-1.5-pro", "models/gemini-1.5-pro-002"),
    ("grok-4", "grok-4-0709"),
    ("deepseek-r1", "deepseek-r1-250120"),
    ("llama3", "llama3:latest"),
    ("llama3:latest", "llama3"),
    ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b-instruct"),
    ("Qwen2.5-7B-Instruct", "/models/Qwen2.5-7B-Instruct/"),
    ("qwen2.5-7b-q4", "/models/qwen2.5-7b-q4.gguf"),
]
OTHERS = [
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4o", "gpt-4o-mini-2024-07-18"),
    ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    ("gpt-4o-2024-08-06", "gpt-4o"),
    ("gpt-4o-mini", "gpt-4o"),
    ("gpt-4", "gpt-4.1"),
    ("gpt-4", "gpt-4-32k"),
    ("gpt-4-turbo-preview", "gpt-4-0125-preview"),
    ("openai/gpt-4o", "azure/gpt-4o"),
    ("openai/gpt-4o", "anthropic/claude-3-haiku"),
    ("llama-3-8b", "llama-3-70b"),
    ("llama3-8b", "llama3-8b-8192"),
    ("Qwen2.5-7B", "Qwen2.5-7B-Instruct"),
    ("deepseek-chat", "deepseek-v3"),
    ("my-deployment", "gpt-4o-2024-08-06"),
    ("tgi", "meta-llama/Llama-3.1-8B-Instruct"),
    ("4o", "gpt-4o"),
    ("gpt-4o", ""),
]


@pytest.mark.parametrize(("asked", "served"), ALIKE)
def test_what_servers_are_known_to_change_makes_no_other_model(asked, served):
    assert is_same_model(asked, served)


@pytest.mark.parametrize(("asked", "served"), OTHERS)
def test_any_other_name_is_another_model(asked, served):
    assert not is_same_model(asked, served)


names = st.text("abcAB019.-:/@", min_size=1, max_size=20).filter(lambda name: name.strip("/"))


@given(names)
def test_a_model_is_itself(name):
    assert is_same_model(name, name)
    assert is_same_model(name, name.upper())
    assert is_same_model(name, f"provider/{name}")
    assert not is_same_model(name, f"{name}-mini")


def test_names_that_are_accepted_are_so_to_the_letter_and_no_others():
    served = ServedModels("router", ["some/Model", "other"])
    for name in ("some/model", "OTHER", None):
        served.check(name)
    for name in ("router", "model", "some/model-2024-08-06"):
        with pytest.raises(
            SafescaleError, match=r"served_model names some/Model, other and not this one"
        ):
            served.check(name)


def test_a_snapshot_that_changes_under_way_is_another_model():
    served = ServedModels("gpt-4o")
    served.check("gpt-4o-2024-08-06")
    served.check("gpt-4o-2024-08-06")
    with pytest.raises(
        SafescaleError, match="replies before it came from gpt-4o-2024-08-06"
    ) as changed:
        served.check("gpt-4o-2024-11-20")
    assert 'served_model = ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"]' in str(changed.value)


def test_replies_of_earlier_starts_count():
    with pytest.raises(SafescaleError, match="replies before it came from gpt-4o-2024-08-06"):
        ServedModels("gpt-4o", known=["gpt-4o-2024-08-06", None]).check("gpt-4o-2024-11-20")
    with pytest.raises(
        SafescaleError,
        match=r"a reply that is stored here .* served_model names other and not this one",
    ) as mixed:
        ServedModels("gpt-4o", ["other"], known=["gpt-4o"])
    assert 'served_model = ["other", "gpt-4o"]' in str(mixed.value)
    assert "not stored" not in str(mixed.value)
    ServedModels("gpt-4o", ["other", "gpt-4o"], known=["gpt-4o"]).check("other")


def test_the_error_says_how_to_accept_the_name():
    with pytest.raises(
        SafescaleError, match=r"names its model cheap/model, and big was asked for"
    ) as other:
        ServedModels("big").check("cheap/model")
    assert 'served_model = "cheap/model"' in str(other.value)
    assert "not stored" in str(other.value)

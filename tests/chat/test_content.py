"""Every shape of content that servers are known to send has its text; what is no text has none;
nothing raises.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.chat.content import DEEPEST, Content, read_content, text_of

THINKING = {"type": "thinking", "thinking": "It may be A, or B."}
SHAPES = {
    "text": ("C", "C"),
    "nothing": (None, ""),
    "no parts": ([], ""),
    "OpenAI's parts": (
        [{"type": "text", "text": "The answer "}, {"type": "text", "text": "is C"}],
        "The answer is C",
    ),
    "of its newer interface": (
        [{"type": "output_text", "text": "C", "annotations": [], "logprobs": []}],
        "C",
    ),
    "input_text": ([{"type": "input_text", "text": "C"}], "C"),
    "nested text": ([{"type": "text", "text": {"value": "C", "annotations": []}}], "C"),
    "a list of texts": (["The answer ", "is C"], "The answer is C"),
    "Mistral's": (
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "A? B?"}], "closed": True},
            {"type": "text", "text": "C"},
        ],
        "C",
    ),
    "Mistral's references": (
        [{"type": "text", "text": "C"}, {"type": "reference", "reference_ids": [1]}],
        "C",
    ),
    "Anthropic's": (
        [
            {**THINKING, "signature": "x"},
            {"type": "redacted_thinking", "data": "QQ=="},
            {"type": "text", "text": "C", "citations": None},
        ],
        "C",
    ),
    "Anthropic's tools": (
        [
            {"type": "text", "text": "C"},
            {"type": "tool_use", "name": "submit", "input": {"text": "A"}},
        ],
        "C",
    ),
    "Gemini's": ([{"text": "A? B?", "thought": True}, {"text": "C"}], "C"),
    "Amazon's": (
        [
            {"reasoningContent": {"reasoningText": {"text": "A? B?", "signature": "x"}}},
            {"text": "C"},
        ],
        "C",
    ),
    "a reasoning item": (
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "A?"}],
                "content": [{"text": "B?"}],
            },
            {"type": "message", "content": [{"type": "output_text", "text": "C"}]},
        ],
        "C",
    ),
    "a part alone": ({"type": "text", "text": "C"}, "C"),
    "a message": ({"role": "assistant", "content": "C", "reasoning_content": "A?"}, "C"),
    "a text of null": ([{"type": "text", "text": None}], ""),
    "a picture": (
        [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": "C"}],
        "C",
    ),
    "something else beside text": ([{"verdict": 3}, 7, {"type": "text", "text": "C"}], "C"),
}


@pytest.mark.parametrize(("content", "text"), SHAPES.values(), ids=list(SHAPES))
def test_a_known_shape_has_its_text(content, text):
    assert text_of(content) == text


@pytest.mark.parametrize(
    "content",
    [5, 0, 1.5, True, False, {}, {"answer": "C"}, [5], [{"answer": "C"}], [[5], {"x": []}]],
)
def test_what_is_no_text_has_none(content):
    assert read_content(content) == Content(None)


@pytest.mark.parametrize(
    "content",
    [
        [THINKING],
        THINKING,
        [{"type": "reasoning", "text": "A"}],
        [{"text": "A", "thought": True}],
        [THINKING, {"type": "text", "text": ""}],
    ],
)
def test_reasoning_alone_is_no_text_and_says_that_it_was_there(content):
    assert read_content(content) == Content("", reasons=True)


@pytest.mark.parametrize(
    "content",
    [[{"type": "refusal", "refusal": "I can't."}], {"content": None, "refusal": "I can't."}],
)
def test_a_refusal_is_told_apart(content):
    assert read_content(content) == Content("", refusal="I can't.")


def test_parts_within_parts_end_somewhere():
    content: object = "C"
    for _ in range(DEEPEST):
        content = {"text": content}
    assert text_of(content) == "C"
    assert text_of({"text": content}) is None
    for _ in range(100_000):
        content = [content]
    assert text_of(content) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "thinking", "refusal", "thought", "value", "x"]
            ),
            inner,
        )
    ),
)


@given(JSON)
def test_whatever_comes_gives_a_text_or_none(content):
    read = read_content(content)
    assert read.text is None or isinstance(read.text, str)
    assert isinstance(read.refusal, str)
    assert type(read.reasons) is bool


@given(st.lists(st.text(), min_size=1))
def test_parts_are_joined_without_anything_between_them(texts):
    assert (
        text_of([{"type": "text", "text": text} for text in texts])
        == text_of(texts)
        == "".join(texts)
    )

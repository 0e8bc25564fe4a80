"""What is wrong with a model's name or arguments is said before anything is loaded, and by the name
that the user wrote.
"""

from __future__ import annotations

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval.api.registry import get_model

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import backends, loading
from lm_eval_safescale.harness.loading import check_model_args, load_backend

pytest.importorskip("torch")


def refused(name, args, check=check_model_args) -> str:
    with pytest.raises(SafescaleError) as caught:
        check(name, args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hff", "hf"),
        ("HF", "hf"),
        ("local-chat-completion", "local-chat-completions"),
        ("vlm", "vllm"),
    ],
)
def test_a_misspelt_backend_is_answered_with_the_one_that_was_meant(name, meant):
    said = refused(name, {"pretrained": "x"})
    assert said.endswith(f"did you mean {meant}?")
    assert len(said) < 120


def test_an_unknown_backend_is_answered_with_the_usual_ones():
    assert refused("q", {}).endswith(
        "expected for example hf, vllm, local-chat-completions or local-completions"
    )


def test_a_model_is_needed():
    assert (
        refused("hf", {"dtype": "float32"})
        == "--model_args without pretrained; expected pretrained=NAME_OR_FOLDER"
    )


def test_a_misspelt_model_is_told_from_a_missing_one():
    assert refused("hf", {"pretraned": "x"}).endswith("(did you mean pretrained for pretraned?)")


@pytest.mark.parametrize("name", ["pretrained", "tokenizer", "peft"])
@pytest.mark.parametrize("value", ["/not/there", "./not/there", "../not/there"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name, value):
    assert (
        refused("hf", {"pretrained": "org/name", name: value})
        == f"--model_args {name}={value}: no such folder or file"
    )


def test_a_home_folder_must_be_written_out():
    """Neither the harness nor the shell puts it in."""
    assert "does not know ~" in refused("hf", {"pretrained": "~/model"})


def test_names_on_the_hub_and_folders_that_are_there_pass(tmp_path):
    check_model_args("hf", {"pretrained": "org/name", "tokenizer": str(tmp_path), "whatever": 1})
    check_model_args("dummy", {})


class Backend:
    """Fails as it is told."""

    def __init__(self, dtype: str = "auto", frobs: int = 1) -> None:
        """Nothing."""

    error: Exception

    @classmethod
    def create_from_arg_obj(cls, *_):
        raise cls.error


@pytest.mark.parametrize(
    ("error", "args", "said"),
    [
        (
            TypeError("Llama.__init__() got an unexpected keyword argument 'frob'"),
            {"frob": 1},
            "--model_args frob: the backend knows no such argument; did you mean frobs?",
        ),
        (
            TypeError("f() got an unexpected keyword argument 'inner'"),
            {"frobs": 1},
            "cannot be loaded: TypeError",
        ),
        (
            ValueError("`dtype` must be one of these"),
            {"dtype": "x"},
            "--model_args dtype: ValueError",
        ),
        (
            AttributeError("module 'torch' has no attribute 'float33'"),
            {"dtype": "float33"},
            "--model_args dtype: AttributeError",
        ),
        (
            ValueError("the type is odd"),
            {"dtype": "type"},
            "cannot be loaded: ValueError: the type is odd",
        ),
    ],
)
def test_the_argument_that_an_error_names_is_named(error, args, said, monkeypatch):
    Backend.error = error
    monkeypatch.setattr(loading, "get_model", lambda _: Backend)
    assert said in refused("mine", args, load_backend)


@pytest.mark.parametrize(
    "name",
    [
        "hf", "sglang", "sglang-generate", "local-completions", "local-chat-completions",
        "openai-completions", "dummy", "gguf", "openai-chat-completions", "anthropic-chat",
        "anthropic-completions", "litellm", "litellm-chat", "textsynth",
    ],
)  # fmt: skip
def test_a_server_is_told_by_its_name_as_by_its_class(name):
    try:
        kind = get_model(name)
    except ImportError:
        pytest.skip("not installed")
    assert backends.is_server(name) == backends.is_server(kind)

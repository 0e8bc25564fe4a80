"""What a task must know of the model it is asked of, learned without naming models (HARNESS hazards)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_safescale.retrieval import HubTokenizer

DEFAULT_SEED = 1234  # the harness's own


def backend_of(chat_template: Callable[..., Any] | None) -> Any | None:
    """The harness's model object, reached through the bound method that renders its chat template; None without one."""
    return getattr(chat_template, "__self__", None)


def sends_one_seed(backend: Any | None, model_args: Mapping[str, Any]) -> bool:
    """Whether the backend sends one fixed seed with every request, so that K draws of a prompt would all be alike.

    The harness's OpenAI-compatible backends do. Without a model object to look at, the model's arguments tell.
    """
    if backend is None:
        return "base_url" in model_args or ("model" in model_args and "pretrained" not in model_args)
    names = {cls.__name__ for cls in type(backend).__mro__}
    return "TemplateAPI" in names and not names & {"AnthropicChat", "SGLANGGENERATEAPI"}


def window_of(backend: Any | None) -> int | None:
    """Tokens that fit into prompt and answer together, where the backend itself would cut a longer prompt; else None."""
    if backend is None or getattr(backend, "tokenized_requests", True) in (False, None):
        return None  # a server counts for itself, and refuses what is too long
    try:
        return int(backend.max_length)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None


def stated_window(model_args: Mapping[str, Any]) -> int | None:
    """The window that the model's arguments set, or its own configuration states (local files only); None if neither does."""
    for name in ("max_length", "max_model_len"):
        if model_args.get(name):
            return int(model_args[name])
    config = _from_local_files("AutoConfig", model_args.get("pretrained"), model_args)
    window = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    return int(window) if window else None


def token_counter(backend: Any | None, model_args: Mapping[str, Any]) -> Callable[[str], int] | None:
    """What counts a prompt's tokens: the backend, or without one the tokenizer of the model's arguments; None if there is none."""
    if backend is not None:
        return lambda prompt: len(backend.tok_encode(prompt))
    tokenizer = load_tokenizer(model_args)
    return None if tokenizer is None else lambda prompt: len(tokenizer.encode(prompt))


def window_and_tokenizer(backend: Any | None, model_args: Mapping[str, Any]) -> tuple[int | None, HubTokenizer | None]:
    """The model's window in tokens and its own tokenizer, from the backend or else from its arguments and files; None for unknown."""
    window = window_of(backend) or stated_window(model_args)
    tokenizer = getattr(backend, "tokenizer", None)
    if not hasattr(tokenizer, "encode") or not hasattr(tokenizer, "get_vocab"):
        tokenizer = load_tokenizer(model_args)
    name = str(model_args.get("tokenizer") or model_args.get("pretrained") or model_args.get("model") or "model")
    return window, None if tokenizer is None else HubTokenizer(tokenizer, name)


def load_tokenizer(model_args: Mapping[str, Any]) -> Any | None:
    """The tokenizer of the harness's model arguments, from local files only; None if it cannot be had."""
    return _from_local_files("AutoTokenizer", model_args.get("tokenizer") or model_args.get("pretrained"), model_args)


def _from_local_files(auto_class: str, name: Any, model_args: Mapping[str, Any]) -> Any | None:
    if not name:
        return None
    keep = ("gguf_file", "revision", "subfolder", "trust_remote_code")
    options = {key: model_args[key] for key in keep if model_args.get(key) is not None}
    try:
        import transformers

        return getattr(transformers, auto_class).from_pretrained(str(name), local_files_only=True, **options)
    except Exception:  # whatever is wrong with it, the backend that needs it reports better than we can
        return None

"""What a task must know of the model it is asked of, learned without naming models (HARNESS
hazards).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.plugins import version_of
from lm_eval_safescale.retrieval import HubTokenizer

logger = logging.getLogger(__name__)
DEFAULT_SEED = 1234  # the harness's own
REASONING_MARKS = ("<|channel|>analysis", "[THINK]")
"""In chat templates of models that always reason: gpt-oss, Magistral."""
SERVERS = ("local-", "openai-", "anthropic-chat", "litellm", "sglang-generate")
"""How the names of the harness's backends begin that are made from its `TemplateAPI`; a test holds
them to it."""
COMPUTED_BY = {"HFLM": "transformers", "VLLM": "vllm"}
"""The package that computes the answers, by a class of the harness's backend."""
WITHOUT_MODEL = {"DummyLM", "Control"}
"""Classes of backends that ask no model."""


def tokenizer_of(backend: Any | None) -> Any | None:
    """The tokenizer of the model that a backend asks, where it has one; the harness's dummy would
    fetch another's from the hub."""
    return None if classes(type(backend)) & WITHOUT_MODEL else getattr(backend, "tokenizer", None)


def backend_of(chat_template: Callable[..., Any] | None) -> Any | None:
    """The harness's model object, reached through the bound method that renders its chat template;
    None without one."""
    return getattr(chat_template, "__self__", None)


def sends_one_seed(backend: Any | None, model_args: Mapping[str, Any]) -> bool:
    """Whether the backend sends one fixed seed with every request, so that K draws of a prompt
    would all be alike.

    The harness's OpenAI-compatible backends do. Without a model object to look at, the model's
    arguments tell.
    """
    return (
        names_server(model_args) if backend is None else is_server(backend) and takes_seed(backend)
    )


def names_server(model_args: Mapping[str, Any]) -> bool:
    """Whether a model's arguments are of one behind a server, as far as they tell."""
    return "base_url" in model_args or ("model" in model_args and "pretrained" not in model_args)


def takes_seed(backend: Any) -> bool:
    """Whether a seed can be given with a request; without one its draws cannot be repeated."""
    return not classes(type(backend)) & {"AnthropicChat", "SGLANGGENERATEAPI"}


def is_server(backend: Any) -> bool:
    """Whether the model is behind a server that is asked over the network.

    `backend` may be the class too, or the name that the harness knows it by, where importing it
    would take long.
    """
    if isinstance(backend, str):
        return backend.startswith(SERVERS)
    return "TemplateAPI" in classes(backend if isinstance(backend, type) else type(backend))


def classes(kind: type) -> set[str]:
    """Names of a class and of all that it is made from: how backends are told apart without
    importing them."""
    return {each.__name__ for each in kind.__mro__}


def window_of(backend: Any | None) -> int | None:
    """Tokens that fit into prompt and answer together, where the backend itself would cut a longer
    prompt; else None."""
    if backend is None or getattr(backend, "tokenized_requests", True) in (False, None):
        return None  # a server counts for itself, and refuses what is too long
    try:
        return int(backend.max_length)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None


def reasons(backend: Any) -> bool:
    """Whether the model's chat template or configuration says that it reasons before it answers.

    It does where the template has a channel or a marker of reasoning that no other kind of model
    has, or where its switch `enable_thinking` changes the prompt and is on in the prompts that this
    backend makes. One that only strips reasoning from earlier turns says nothing.
    """
    tokenizer = tokenizer_of(backend)
    template = getattr(backend, "hf_chat_template", None) or getattr(
        tokenizer, "chat_template", None
    )
    if not isinstance(template, str):
        return False
    kind = getattr(
        getattr(getattr(backend, "model", None), "config", None)
        or getattr(backend, "_config", None),
        "model_type",
        "",
    )
    if kind == "gpt_oss" or any(mark in template for mark in REASONING_MARKS):
        return True
    if "enable_thinking" not in template:
        return False
    turn = [{"role": "user", "content": "?"}]
    off = {**(getattr(backend, "chat_template_args", None) or {}), "enable_thinking": False}
    try:
        # only the backend knows what it says of the switch where nobody set it: hf nothing, vLLM
        # that it is None
        now = backend.apply_chat_template(turn)
        without = tokenizer.apply_chat_template(  # type: ignore[union-attr]
            turn, tokenize=False, add_generation_prompt=True, chat_template=template, **off
        )
        return bool(now != without)
    except Exception:
        # a template may demand more than one plain turn; then its switch cannot be read
        return False


def stated_window(model_args: Mapping[str, Any]) -> int | None:
    """The window that the model's arguments set, or its own configuration states (local files
    only); None if neither does."""
    for name in ("max_length", "max_model_len"):
        if model_args.get(name):
            return int(model_args[name])
    config = _from_local_files("AutoConfig", model_args.get("pretrained"), model_args)
    window = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    return int(window) if window else None


def token_counter(
    backend: Any | None, model_args: Mapping[str, Any]
) -> Callable[[str], int] | None:
    """What counts a prompt's tokens: the backend, or without one the tokenizer of the model's
    arguments; None if there is none."""
    if backend is not None:
        return lambda prompt: len(backend.tok_encode(prompt))
    tokenizer = load_tokenizer(model_args)
    return None if tokenizer is None else lambda prompt: len(tokenizer.encode(prompt))


def window_and_tokenizer(
    backend: Any | None, model_args: Mapping[str, Any]
) -> tuple[int | None, HubTokenizer | None]:
    """The model's window in tokens and its own tokenizer, from the backend or else from its
    arguments and files; None for unknown."""
    window = window_of(backend) or stated_window(model_args)
    tokenizer = tokenizer_of(backend)
    if not hasattr(tokenizer, "encode") or not hasattr(tokenizer, "get_vocab"):
        tokenizer = load_tokenizer(model_args)
    name = str(
        model_args.get("tokenizer")
        or model_args.get("pretrained")
        or model_args.get("model")
        or "model"
    )
    return window, None if tokenizer is None else HubTokenizer(tokenizer, name)


def load_tokenizer(model_args: Mapping[str, Any]) -> Any | None:
    """The tokenizer of the harness's model arguments, from local files only; None if it cannot be
    had."""
    return _from_local_files(
        "AutoTokenizer", model_args.get("tokenizer") or model_args.get("pretrained"), model_args
    )


def _from_local_files(auto_class: str, name: Any, model_args: Mapping[str, Any]) -> Any | None:
    if not name:
        return None
    keep = ("gguf_file", "revision", "subfolder", "trust_remote_code")
    options = {key: model_args[key] for key in keep if model_args.get(key) is not None}
    try:
        import transformers

        return getattr(transformers, auto_class).from_pretrained(
            str(name), local_files_only=True, **options
        )
    except Exception:
        # whatever is wrong with it, the backend that needs it reports better than we can
        return None


def first_seed(metadata: Mapping[str, Any]) -> int:
    """The seed of the run, from the model's arguments; the harness's own where they have none.
    SafescaleError if it is no whole number."""
    seed = metadata.get("seed")
    try:
        return DEFAULT_SEED if seed is None else int(seed)
    except (TypeError, ValueError):
        raise SafescaleError(f"seed={seed!r} is no whole number") from None


def takes_conversations(backend: Any) -> bool:
    """Whether conversations go through a chat template: of the model's own, or of a server's."""
    if classes(type(backend)) & WITHOUT_MODEL:
        return False
    try:
        tokenizer = tokenizer_of(backend)
        template = getattr(tokenizer, "chat_template", "none known") or getattr(
            backend, "hf_chat_template", None
        )
        if not template:
            return False
        backend.apply_chat_template([{"role": "user", "content": "?"}])
    except Exception as error:
        logger.warning(
            "the model takes no conversations (%s): prompts are given to it as plain text",
            reason_of(error),
        )
        return False
    return True


def revision_of(backend: Any) -> str | None:
    """The commit of the hub's repository that the model was loaded from; None where it comes from
    elsewhere."""
    commit = getattr(_config_of(backend), "_commit_hash", None)
    return str(commit) if commit else None


def _config_of(backend: Any) -> Any | None:
    return getattr(getattr(backend, "model", None), "config", None) or getattr(
        backend, "_config", None
    )


def _told(value: Any) -> str | None:
    return None if value is None else str(value)


def engine_facts(backend: Any, name: str) -> dict[str, Any]:
    """What computes the answers, as far as it lies in this process: its package and version, the
    type of its numbers, `quantization` ("none": weights as they are), device, window in tokens, and
    how many requests it computes together or has under way; None for what cannot be known, as
    behind a server.

    Parameters
    ----------
    name
        By which the harness knows the backend.
    """
    kinds = classes(type(backend))
    package = next((value for key, value in COMPUTED_BY.items() if key in kinds), None)
    facts: dict[str, Any] = {
        "backend": name,
        "package": package,
        "version": version_of(package) if package else None,
        **dict.fromkeys(("dtype", "quantization", "device")),
        "window": window_of(backend),
        "batch_size": _told(getattr(backend, "batch_size", None)),
        "concurrent": _told(getattr(backend, "_concurrent", None)),
    }
    if package is None:
        return facts
    model, config = getattr(backend, "model", None), _config_of(backend)
    engine = getattr(getattr(model, "llm_engine", None), "model_config", None)
    if engine is not None:
        method = getattr(engine, "quantization", None)
    else:
        made = getattr(config, "quantization_config", None)
        method = made.get("quant_method") if isinstance(made, Mapping) else made
        method = getattr(method, "quant_method", method)
    dtype = getattr(model if engine is None else engine, "dtype", None)
    device = getattr(backend, "device", None)
    return facts | {
        "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
        "quantization": str(getattr(method, "value", method))
        if method
        else None
        if config is None and engine is None
        else "none",
        "device": None if device is None else str(device),
    }

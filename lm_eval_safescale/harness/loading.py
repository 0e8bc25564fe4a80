"""A model object of the harness, from the names and arguments that its own command line takes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lm_eval.api.registry import get_model
from lm_eval.utils import simple_parse_args_string

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends

FIXED_BATCH = "8"
"""The batch size where the engine does not make its own batches, and none is given."""
DEVICE = "cuda:0"
"""The default of the harness's command line: the processor where there is no such device."""
IN_ORDER = ("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
"""Has vLLM put its batches together in the same way each time (its guide on reproducibility); else greedy replies vary from run to run."""
UNSEARCHABLE = "llvmlite.binding.ffi"
"""vLLM on a processor looks through all loaded modules for its kernels, and breaks off at this one (numba's, by bm25s): an object in it
claims to have every attribute (seen with vLLM 0.32, llvmlite 0.47)."""
CONCURRENT = 32
"""Requests in flight to a server where `num_concurrent` does not say; the harness's own default of 1 leaves a server idle."""
SECRETS = ("key", "secret", "password", "auth", "header")
TEXT_TOKENS = frozenset({"add_bos_token", "think_end_token", "prefix_token", "image_token"})
"""Arguments that are named like a key and hold none."""
NO_MEMORY = re.compile(
    r"out of memory|outofmemory|not enough memory|cannot allocate memory|no available memory|kv cache", re.IGNORECASE
)


def parse_model_args(model_args: str) -> dict[str, Any]:
    """Arguments of a model, from `name=value,name=value`; SafescaleError if it is none."""
    if odd := [part for part in model_args.split(",") if part.strip() and not part.partition("=")[1]]:
        raise SafescaleError(f"--model_args: {odd[0]!r} has no value; expected name=value,name=value")
    try:
        return dict(simple_parse_args_string(model_args))
    except ValueError as error:
        raise SafescaleError(f"--model_args {model_args!r}: {reason_of(error)}; expected name=value,name=value") from None


def load_backend(name: str, args: Mapping[str, Any], *, batch_size: str | None = None, device: str | None = None) -> Any:
    """A model object by the name of a backend of the harness (`hf`, `vllm`, `local-chat-completions`, ...).

    Parameters
    ----------
    args
        As for `lm_eval --model_args`, parsed.
    batch_size, device
        As for `lm_eval`. Without a batch size, `auto` for engines that make their own batches, else 8; 1 for servers.

    Raises
    ------
    SafescaleError
        If there is no such backend, or it cannot be loaded.
    """
    kind = _kind_of(name)
    if name.startswith("vllm"):
        os.environ.setdefault(*IN_ORDER)
    if backends.is_server(kind):
        check_server_args(name, args)
    try:
        with _hidden(UNSEARCHABLE):
            return kind.create_from_arg_obj(
                dict(args), {"batch_size": batch_size or default_batch_size(name, kind), "device": device or DEVICE}
            )
    except Exception as error:
        raise SafescaleError(
            f"--model {name} cannot be loaded: {type(error).__name__}: {reason_of(error)}{memory_hint(error)}"
        ) from error


def with_defaults(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """A model's arguments, and what our own engines need besides, where the user does not say otherwise."""
    if backends.is_server(_kind_of(name)):
        return {"num_concurrent": CONCURRENT, **args}
    if name != "vllm":
        return dict(args)
    from vllm.platforms import current_platform

    needed: dict[str, Any] = {"disable_log_stats": False}  # the engine's timings
    if current_platform.is_cpu():
        needed["enable_chunked_prefill"] = False  # a seeded request whose prompt is computed in parts stops the engine there
    return {**needed, **args}


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Without a module among those that are loaded."""
    there = sys.modules.pop(module, None)
    try:
        yield
    finally:
        if there is not None:
            sys.modules[module] = there


def _kind_of(name: str) -> Any:
    try:
        return get_model(name)
    except Exception as error:
        raise SafescaleError(f"--model {name}: {reason_of(error)}") from None


def check_server_args(name: str, args: Mapping[str, Any]) -> None:
    """SafescaleError where a backend is unknown, or the arguments of a server hold a key or an address that takes no requests."""
    if not backends.is_server(_kind_of(name)):
        return
    if secrets := [each for each in args if is_secret(each)]:
        raise SafescaleError(
            f"--model_args {', '.join(secrets)}: a key is read from the environment only (OPENAI_API_KEY), so that it is written nowhere; "
            "leave it out. A server that wants other headers can be asked through a proxy that adds them"
        )
    expected = f"http://HOST:8000/v1/{'chat/' if 'chat' in name else ''}completions"
    url = str(args.get("base_url") or "")
    if not url:
        if name.startswith("local-"):
            raise SafescaleError(f"--model_args without base_url; expected for example base_url={expected}")
        return
    try:
        address = urlsplit(url)
        holds_key = address.password or any(is_secret(each) for each, _ in parse_qsl(address.query, keep_blank_values=True))
    except ValueError:
        address, holds_key = urlsplit(""), False
    if holds_key:
        raise SafescaleError(
            "--model_args base_url holds a key or password; a key is read from the environment only (OPENAI_API_KEY), so that it is "
            "written nowhere"
        )
    takes_none = name.startswith(("local-", "openai-")) and address.path.rstrip("/") in ("", "/v1")
    if takes_none or address.scheme not in ("http", "https") or not address.hostname:
        raise SafescaleError(
            f"--model_args base_url={url}: the harness posts to this very address; expected for example {expected}"
        )


def default_batch_size(name: str, kind: type) -> str:
    """The batch size where none is given."""
    if name.startswith(("vllm", "sglang")):
        return "auto"
    return "1" if backends.is_server(kind) else FIXED_BATCH


def memory_hint(error: BaseException) -> str:
    """What to change where memory was short; empty where it was not."""
    found = False
    cause: BaseException | None = error
    while cause is not None and not found:
        found = isinstance(cause, MemoryError) or NO_MEMORY.search(f"{type(cause).__name__} {cause}") is not None
        cause = cause.__cause__ or cause.__context__
    return (
        "; memory was short: lower --batch_size, the model's window (max_model_len, max_length) or vLLM's gpu_memory_utilization and "
        "max_num_seqs in --model_args"
        if found
        else ""
    )


def without_secrets(args: Mapping[str, Any]) -> dict[str, Any]:
    """A model's arguments as they may be written down."""
    return {name: "***" if is_secret(name) else _without_password(value) for name, value in args.items()}


def is_secret(name: str) -> bool:
    """Whether an argument of that name may hold a key."""
    name = name.casefold()
    if name in TEXT_TOKENS:
        return False
    return name == "token" or name.endswith("_token") or any(secret in name for secret in SECRETS)


def _without_password(value: Any) -> Any:
    """An address may hold one before its host, or behind it."""
    if not isinstance(value, str):
        return value
    value = re.sub(r"(?<=://)[^/@\s]+@", "***@", value)
    return re.sub(
        r"([?&])([^=&\s]+)=[^&\s]*", lambda found: f"{found[1]}{found[2]}=***" if is_secret(found[2]) else found[0], value
    )

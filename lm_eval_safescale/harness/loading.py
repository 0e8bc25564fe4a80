"""A model object of the harness, from the names and arguments that its own command line takes."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lm_eval.api.registry import get_model, model_registry
from lm_eval.utils import simple_parse_args_string

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends
from lm_eval_safescale.secrets import (
    Mask,
    is_secret,
    mask_of,
    masked,
    masked_model_args,
    shown_address,
    shown_text,
)

FIXED_BATCH = "8"
"""The batch size where the engine does not make its own batches, and none is given."""
DEVICE = "cuda:0"
"""The default of the harness's command line: the processor where there is no such device."""
IN_ORDER = ("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
"""Has vLLM put its batches together in the same way each time (its guide on reproducibility); else
greedy replies vary from run to run."""
UNSEARCHABLE = "llvmlite.binding.ffi"
"""vLLM on a processor looks through all loaded modules for its kernels, and breaks off at this one
(numba's, by bm25s): an object in it claims to have every attribute (seen with vLLM 0.32, llvmlite
0.47)."""
CONCURRENT = 32
"""Requests in flight to a server where `num_concurrent` does not say; the harness's own default of
1 leaves a server idle."""
LEAST = {"num_concurrent": 1, "timeout": 1, "max_retries": 0, "max_length": 2, "max_gen_toks": 1}
"""Arguments of a server that are whole numbers, and the least that each can be."""
OF_FILES = ("pretrained", "tokenizer", "peft", "delta", "lora_local_path")
"""Arguments that may name a folder on this machine."""
NO_SUCH_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'")
NO_MEMORY = re.compile(
    r"out of memory|outofmemory|not enough memory|cannot allocate memory|no available memory"
    r"|kv cache",
    re.IGNORECASE,
)


def parse_model_args(model_args: str) -> dict[str, Any]:
    """Arguments of a model, from `name=value,name=value`; SafescaleError if it is none."""
    parts = [part for part in model_args.split(",") if part.strip()]
    for number, part in enumerate(parts, 1):
        if "=" not in part:  # it may be the rest of a key with a comma in it
            shown = repr(part) if number == 1 and part.isidentifier() else "it"
            raise SafescaleError(
                f"--model_args: part {number} of {len(parts)} has no = in it, so {shown} has no "
                "value; expected name=value,name=value"
            )
    try:
        return dict(simple_parse_args_string(model_args))
    except ValueError as error:
        raise SafescaleError(
            f"--model_args {masked_model_args(model_args)!r}: {reason_of(error)}; expected "
            "name=value,name=value"
        ) from None


def load_backend(
    name: str, args: Mapping[str, Any], *, batch_size: str | None = None, device: str | None = None
) -> Any:
    """A model object by the name of a backend of the harness (`hf`, `vllm`,
    `local-chat-completions`, ...).

    Parameters
    ----------
    args
        As for `lm_eval --model_args`, parsed.
    batch_size, device
        As for `lm_eval`. Without a batch size, `auto` for engines that make their own batches, else
        8; 1 for servers.

    Raises
    ------
    SafescaleError
        If there is no such backend, or it cannot be loaded.
    """
    check_model_args(name, args)
    kind = _kind_of(name)
    if name.startswith("vllm"):
        os.environ.setdefault(*IN_ORDER)
    _keep_from_logs(mask_of(args))
    try:
        with _hidden(UNSEARCHABLE):
            return kind.create_from_arg_obj(
                dict(args),
                {
                    "batch_size": batch_size or default_batch_size(name, kind),
                    "device": device or DEVICE,
                },
            )
    except Exception as error:
        raise SafescaleError(
            f"--model {name} cannot be loaded: "
            f"{_entry_in(error, kind, args)}{type(error).__name__}: "
            f"{shown_text(reason_of(error), args)}{memory_hint(error)}"
        ) from error


def with_defaults(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """A model's arguments, and what our own engines need besides, where the user does not say
    otherwise."""
    if name != "vllm":
        return for_server(name, args)
    from vllm.platforms import current_platform

    needed: dict[str, Any] = {"disable_log_stats": False}  # the engine's timings
    if current_platform.is_cpu():
        # a seeded request whose prompt is computed in parts stops the engine there
        needed["enable_chunked_prefill"] = False
    return {**needed, **args}


def for_server(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """A model's arguments, and if it is behind a server how many requests are in flight, where the
    user does not say."""
    return {
        **({"num_concurrent": CONCURRENT} if backends.is_server(_kind_of(name)) else {}),
        **args,
    }


class _Hiding(logging.Filter):
    """Backends log addresses, and what servers say."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(self._mask.hide(record.getMessage())), ()
        return True


def _keep_from_logs(mask: Mask) -> None:
    for name in [
        each
        for each in logging.root.manager.loggerDict
        if each.startswith(("lm_eval.models.", "lm_eval.utils"))
    ]:
        logger = logging.getLogger(name)
        logger.filters = [each for each in logger.filters if not isinstance(each, _Hiding)]
        logger.addFilter(_Hiding(mask))


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
    # the harness looks for its own backends only while it knows none, and a plugin may have
    # registered one
    import lm_eval.models  # noqa: F401

    import lm_eval_safescale.harness.controls  # noqa: F401

    try:
        return get_model(name)
    except Exception as error:
        known = sorted(model_registry.keys())
        if name in known:
            raise SafescaleError(f"--model {name}: {reason_of(error)}") from None
        hint = (
            _did_you_mean(name, known)
            or "; expected for example hf, vllm, local-chat-completions or local-completions"
        )
        raise SafescaleError(f"--model {name}: lm_eval has no backend of that name{hint}") from None


def check_model_args(name: str, args: Mapping[str, Any]) -> None:
    """Look at a model's arguments before anything is loaded or written.

    Raises
    ------
    SafescaleError
        If there is no such backend, if it has no model, or if a folder is named that is not there.
        Of a server, which would take any argument without a word, also if it knows no such
        argument, if a number cannot be one, and where a key is given, or an address that takes no
        requests.
    """
    if not backends.is_server(name):  # before the backend itself, which takes seconds to import
        _check_folders({each: args[each] for each in OF_FILES if each in args})
    kind = _kind_of(name)
    known = _parameters(kind)
    if backends.is_server(kind):
        _check_server(name, args, known)
        # the model lies with the server
        _check_folders({each: args[each] for each in ("tokenizer",) if each in args})
        return
    needed = known.get("pretrained")
    if needed is not None and needed.default is needed.empty and not args.get("pretrained"):
        raise SafescaleError(
            "--model_args without pretrained; expected "
            f"pretrained=NAME_OR_FOLDER{_meant_by(args, known, 'pretrained')}"
        )


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """What a backend can be given, by name: each class hands on to the next above it what it does
    not know itself."""
    found: dict[str, inspect.Parameter] = {}
    for each in kind.__mro__:
        if "__init__" in vars(each):
            for name, parameter in list(
                inspect.signature(each.__dict__["__init__"]).parameters.items()
            )[1:]:
                if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    found.setdefault(name, parameter)
    return found


def _meant_by(args: Mapping[str, Any], known: Iterable[str], name: str) -> str:
    """The argument that was probably meant to be this one."""
    near = get_close_matches(name, [each for each in args if each not in known], n=1, cutoff=0.7)
    return f" (did you mean {name} for {near[0]}?)" if near else ""


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name.casefold(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _check_folders(args: Mapping[str, Any]) -> None:
    for name, value in args.items():
        if not isinstance(value, str) or not value.startswith(("/", "./", "../", "~")):
            continue  # a name on the hub, or a folder that cannot be told from one
        if value.startswith("~"):
            raise SafescaleError(
                f"--model_args {name}={value}: the backend does not know ~; write the whole path"
            )
        if not Path(value).exists():
            raise SafescaleError(f"--model_args {name}={value}: no such folder or file")


def _entry_in(error: BaseException, kind: type, args: Mapping[str, Any]) -> str:
    """Which of the arguments an error is about, as far as its words tell; empty where they do
    not."""
    said = str(error)
    odd = NO_SUCH_ARGUMENT.search(said)
    if odd is not None and odd[1] in args:
        known = [each for each in _parameters(kind) if each != odd[1]]
        return (
            f"--model_args {odd[1]}: the backend knows no such "
            f"argument{_did_you_mean(odd[1], known)} - "
        )
    quoted = set(re.findall(r"[`'\"]([^`'\"\s]+)[`'\"]", said))
    named = [
        name
        for name, value in args.items()
        if name in quoted or (isinstance(value, str) and value in quoted)
    ]
    return f"--model_args {', '.join(named)}: " if named else ""


def _check_server(
    name: str, args: Mapping[str, Any], known: Mapping[str, inspect.Parameter]
) -> None:
    if secrets := [each for each in args if is_secret(each)]:
        raise SafescaleError(
            f"--model_args {', '.join(secrets)}: a key is read from the environment only "
            "(OPENAI_API_KEY), so that it is written nowhere; leave it out. A server that wants "
            "other headers can be asked through a proxy that adds them"
        )
    for each in args:
        if each not in known:
            raise SafescaleError(
                f"--model_args {each}: --model {name} knows no such "
                f"argument{_did_you_mean(each, known)}"
            )
    for each, least in LEAST.items():
        if each in args and (type(args[each]) is not int or args[each] < least):
            raise SafescaleError(
                f"--model_args {each}={args[each]}: expected a whole number from {least}"
            )
    if (
        not args.get("model")
        and not args.get("pretrained")
        and not ("model" in known and known["model"].default)
    ):
        raise SafescaleError(
            "--model_args without model; expected model=NAME, by which the server knows the model"
        )
    expected = f"http://HOST:8000/v1/{'chat/' if 'chat' in name else ''}completions"
    url = str(args.get("base_url") or "")
    if not url:
        if name.startswith("local-"):
            raise SafescaleError(
                f"--model_args without base_url; expected for example base_url={expected}"
            )
        return
    try:
        address = urlsplit(url)
        _ = address.port  # ValueError where it is none
    except ValueError:
        address = urlsplit("")
    if (
        "@" in address.netloc
        or address.fragment
        or any(is_secret(each) for each, _ in parse_qsl(address.query))
    ):
        raise SafescaleError(
            "--model_args base_url holds a key or password; a key is read from the environment "
            "only (OPENAI_API_KEY), so that it is written nowhere"
        )
    takes_none = name.startswith(("local-", "openai-")) and address.path.rstrip("/") in ("", "/v1")
    if takes_none or address.scheme not in ("http", "https") or not address.hostname:
        raise SafescaleError(
            f"--model_args base_url={shown_address(url)}: the harness posts to this very address; "
            f"expected for example {expected}"
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
        found = (
            isinstance(cause, MemoryError)
            or NO_MEMORY.search(f"{type(cause).__name__} {cause}") is not None
        )
        cause = cause.__cause__ or cause.__context__
    return (
        (
            "; memory was short: lower --batch_size, the model's window (max_model_len, "
            "max_length) or vLLM's gpu_memory_utilization and max_num_seqs in --model_args"
        )
        if found
        else ""
    )

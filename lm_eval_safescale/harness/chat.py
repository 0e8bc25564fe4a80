"""Any model object of the harness as a chat model, so that reports can be written by whatever the harness can run."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.utils import simple_parse_args_string

from lm_eval_safescale.chat import ChatModel, ChatRequest, Endpoint, Message, Reply
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends
from lm_eval_safescale.plugins import bind_settings

ENDPOINT = "endpoint"
AUTO_BATCH, FIXED_BATCH = 256, "8"
"""Conversations handed over at once where the engine itself makes the batches; and the harness's batch size where it does not."""
DEVICE = "cuda:0"
"""The default of the harness's command line: the processor where there is no such device."""
IN_ORDER = ("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
"""Has vLLM put its batches together in the same way each time (its guide on reproducibility); else greedy replies vary from run to run."""
SECRETS = ("key", "secret", "password", "auth", "header")
logger = logging.getLogger(__name__)


class HarnessChat:
    """A model object of the harness.

    Conversations go through its chat template; without one, a prompt is given as plain text, and the record says so.
    """

    def __init__(self, backend: Any, *, about: Mapping[str, Any], batch: int = AUTO_BATCH) -> None:
        self._backend, self.batch = backend, batch
        self._templated = _has_template(backend)
        self.about: Mapping[str, Any] = {**about, "chat_template": self._templated}
        self.window = backends.window_of(backend)

    def tokens(self, messages: Sequence[Message]) -> int | None:
        """Tokens of the prompt, by the model's own tokenizer."""
        try:
            return len(self._backend.tok_encode(self._prompt(messages)))
        except (AttributeError, NotImplementedError, TypeError):
            return None

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """Replies, a batch at a time."""
        for start in range(0, len(requests), self.batch):
            yield from enumerate(self._replies(requests[start : start + self.batch]), start)

    def _replies(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        prompts = [self._prompt(request.messages) for request in requests]
        greedy = {"until": [], "do_sample": False, "temperature": 0.0}
        instances = [
            Instance("generate_until", {}, (prompt, {**greedy, "max_gen_toks": request.max_tokens}), number)
            for number, (prompt, request) in enumerate(zip(prompts, requests, strict=True))
        ]
        started = time.monotonic()
        try:
            texts = self._backend.generate_until(instances, disable_tqdm=True)
        except Exception as error:
            raise SafescaleError(
                f"the model failed: {type(error).__name__}: {reason_of(error)}; what was written before is kept, and the same command goes "
                "on from there. Where memory is short, lower --batch_size or the model's window"
            ) from error
        seconds = (time.monotonic() - started) / len(requests)
        return [
            Reply(text, "" if text is not None else "the backend gave nothing", self._count(prompt), self._count(text), seconds)
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    def _prompt(self, messages: Sequence[Message]) -> Any:
        if self._templated:
            return self._backend.apply_chat_template([message.as_dict() for message in messages])
        return "\n\n".join(message.content for message in messages) + "\n"

    def _count(self, text: Any) -> int | None:
        try:
            return None if text is None else len(self._backend.tok_encode(text))
        except (AttributeError, NotImplementedError, TypeError):
            return None


def load_chat_model(name: str, model_args: str = "", *, batch_size: str | None = None, device: str | None = None) -> ChatModel:
    """A chat model by the name of a backend of the harness (`hf`, `vllm`, ...), or `endpoint` for an OpenAI-compatible server.

    Parameters
    ----------
    model_args
        As for `lm_eval --model_args`: `pretrained=...`; of an endpoint, the parameters of `chat.Endpoint`: `base_url=...,model=...`.
    batch_size, device
        As for `lm_eval`. Without a batch size, `auto` for engines that make their own batches, else 8.

    Raises
    ------
    SafescaleError
        If there is no such backend, or it cannot be loaded.
    """
    try:
        args = dict(simple_parse_args_string(model_args))
    except ValueError as error:
        raise SafescaleError(f"--model_args {model_args!r}: {reason_of(error)}; expected name=value,name=value") from None
    if name == ENDPOINT:
        if any(_is_secret(each) for each in args):
            raise SafescaleError("endpoint: a key is read from the variable OPENAI_API_KEY only; leave it out of --model_args")
        return Endpoint(**bind_settings(Endpoint, args, "endpoint"))
    if batch_size is None:
        batch_size = "auto" if name.startswith(("vllm", "sglang")) else FIXED_BATCH
    if name.startswith("vllm"):
        os.environ.setdefault(*IN_ORDER)
    try:
        backend = get_model(name).create_from_arg_obj(args, {"batch_size": batch_size, "device": device or DEVICE})
    except Exception as error:
        raise SafescaleError(f"--model {name} cannot be loaded: {type(error).__name__}: {reason_of(error)}") from error
    about = {
        "backend": name,
        "model_args": {each: "***" if _is_secret(each) else _without_password(value) for each, value in args.items()},
    }
    return HarnessChat(backend, about=about, batch=AUTO_BATCH if not str(batch_size).isdigit() else 4 * int(batch_size))


def _is_secret(name: str) -> bool:
    name = name.casefold()
    return name == "token" or name.endswith("_token") or any(secret in name for secret in SECRETS)


def _without_password(value: Any) -> Any:
    """An address may hold one before its host."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", value) if isinstance(value, str) else value


def _has_template(backend: Any) -> bool:
    try:
        tokenizer = getattr(backend, "tokenizer", None)
        if tokenizer is not None and hasattr(tokenizer, "chat_template") and not tokenizer.chat_template:
            return False
        backend.apply_chat_template([Message("user", "?").as_dict()])
    except Exception as error:
        logger.warning("the model takes no conversations (%s): prompts are given to it as plain text", reason_of(error))
        return False
    return True

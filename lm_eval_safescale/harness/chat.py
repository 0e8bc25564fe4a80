"""Any model object of the harness as a chat model, so that reports can be written by whatever the
harness can run.
"""

from __future__ import annotations

import logging
import reprlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lm_eval.api.instance import Instance

from lm_eval_safescale.chat import ChatModel, ChatRequest, Endpoint, Message, Reply
from lm_eval_safescale.chat.content import text_of
from lm_eval_safescale.chat.endpoint import reply_to
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.loading import (
    default_batch_size,
    for_server,
    load_backend,
    parse_model_args,
)
from lm_eval_safescale.harness.payloads import payload_of
from lm_eval_safescale.harness.requests import Request
from lm_eval_safescale.harness.servers import ServerEngine
from lm_eval_safescale.plugins import bind_settings
from lm_eval_safescale.reading import opens_reasoning
from lm_eval_safescale.secrets import Mask, is_secret, mask_of, shown_text, without_secrets

logger = logging.getLogger(__name__)
ENDPOINT = "endpoint"
GREEDY = {"until": [], "do_sample": False, "temperature": 0.0}
AUTO_BATCH = 256
"""Conversations handed over at once where the engine itself makes the batches."""


class HarnessChat:
    """A model object of the harness.

    Conversations go through its chat template; without one, a prompt is given as plain text, and
    the record says so.
    """

    def __init__(self, backend: Any, *, about: Mapping[str, Any], batch: int = AUTO_BATCH) -> None:
        self._backend, self.batch = backend, batch
        # a server may send a key back
        self._mask = mask_of() if backends.is_server(backend) else Mask(())
        self._templated = backends.takes_conversations(backend)
        asked = self._prompt((Message("user", "?"),))
        self.opens_reasoning = isinstance(asked, str) and opens_reasoning(asked)
        """Whether prompts end inside an open reasoning block, with which replies begin."""
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
        instances = [
            Instance(
                "generate_until",
                {},
                (prompt, {**GREEDY, "max_gen_toks": request.max_tokens}),
                number,
            )
            for number, (prompt, request) in enumerate(zip(prompts, requests, strict=True))
        ]
        started = time.monotonic()
        try:
            texts = self._mask.hide_in(self._backend.generate_until(instances, disable_tqdm=True))
        except Exception as error:
            raise SafescaleError(
                f"the model failed: {type(error).__name__}: {shown_text(reason_of(error))}; what "
                "was written before is stored, and the same command goes on from there. Where "
                "memory is short, lower --batch_size or the model's window"
            ) from error
        seconds = (time.monotonic() - started) / len(requests)
        return [
            replace(self._reply(prompt, made, seconds), concurrency=len(requests))
            for prompt, made in zip(prompts, texts, strict=True)
        ]

    def _reply(self, prompt: Any, made: Any, seconds: float) -> Reply:
        text = None if made is None else text_of(made)
        why = (
            "the backend gave nothing"
            if made is None
            else f"the backend gave no text: {reprlib.repr(made)}"
        )
        return Reply(
            text, why if text is None else "", self._count(prompt), self._count(text), seconds
        )

    def _prompt(self, messages: Sequence[Message]) -> Any:
        if self._templated:
            return self._backend.apply_chat_template([message.as_dict() for message in messages])
        return "\n\n".join(message.content for message in messages) + "\n"

    def _count(self, text: Any) -> int | None:
        try:
            return None if text is None else len(self._backend.tok_encode(text))
        except (AttributeError, NotImplementedError, TypeError):
            return None


class ServerChat(HarnessChat):
    """A model behind a server that the harness has a backend for: each conversation is a request of
    its own, and costs no other one."""

    def __init__(self, backend: Any, *, about: Mapping[str, Any]) -> None:
        super().__init__(backend, about=about, batch=1)
        self._engine = ServerEngine(backend)
        if sent := self._temperature():
            logger.warning(
                "%s is asked at temperature %g, not at 0: lm_eval's %s sends nothing else for a "
                "model of that name; the record says so",
                backend.model,
                sent,
                type(backend).__name__,
            )
            self.about = {**self.about, "temperature": sent}

    def _temperature(self) -> float:
        """What is sent where 0 is asked for; the harness may know better."""
        try:
            payload = payload_of(
                self._backend, self._prompt((Message("user", "?"),)), {**GREEDY, "max_gen_toks": 1}
            )
        except SafescaleError:  # it is said when it is asked
            return 0.0
        return float(payload.get("temperature") or 0)

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """Replies as they come."""
        asked = [
            Request(
                "",
                str(number),
                self._prompt(request.messages),
                {**GREEDY, "max_gen_toks": request.max_tokens},
                (0,),
                None,
            )
            for number, request in enumerate(requests)
        ]
        for request, response in self._engine.responses(asked):
            yield int(request.question_id), reply_to(response)


def load_chat_model(
    name: str, model_args: str = "", *, batch_size: str | None = None, device: str | None = None
) -> ChatModel:
    """A chat model by the name of a backend of the harness (`hf`, `vllm`, ...), or `endpoint` for
    an OpenAI-compatible server.

    Parameters
    ----------
    model_args
        As for `lm_eval --model_args`: `pretrained=...`; of an endpoint, the parameters of
        `chat.Endpoint`: `base_url=...,model=...`.
    batch_size, device
        As for `lm_eval`. Without a batch size, `auto` for engines that make their own batches,
        else 8.

    Raises
    ------
    SafescaleError
        If there is no such backend, or it cannot be loaded.
    """
    args = parse_model_args(model_args)
    if name == ENDPOINT:
        if any(is_secret(each) for each in args):
            raise SafescaleError(
                "endpoint: a key is read from the variable OPENAI_API_KEY only; leave it out of "
                "--model_args"
            )
        return Endpoint(**bind_settings(Endpoint, args, "endpoint"))
    backend = load_backend(name, for_server(name, args), batch_size=batch_size, device=device)
    return chat_of(backend, name, args, batch_size)


def chat_of(
    backend: Any, name: str, args: Mapping[str, Any], batch_size: str | None = None
) -> HarnessChat:
    """A model object that is loaded, as a chat model; by that name, with these arguments."""
    about = {"backend": name, "model_args": without_secrets(args)}
    if backends.is_server(backend):
        return ServerChat(backend, about=about)
    size = batch_size or default_batch_size(name, type(backend))
    return HarnessChat(backend, about=about, batch=4 * int(size) if size.isdigit() else AUTO_BATCH)

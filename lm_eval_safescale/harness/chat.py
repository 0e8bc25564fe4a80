"""Any model object of the harness as a chat model, so that reports can be written by whatever the harness can run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance

from lm_eval_safescale.chat import ChatModel, ChatRequest, Endpoint, Message, Reply
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.loading import default_batch_size, load_backend, parse_model_args
from lm_eval_safescale.plugins import bind_settings
from lm_eval_safescale.secrets import Mask, is_secret, mask_of, shown_text, without_secrets

ENDPOINT = "endpoint"
AUTO_BATCH = 256
"""Conversations handed over at once where the engine itself makes the batches."""


class HarnessChat:
    """A model object of the harness.

    Conversations go through its chat template; without one, a prompt is given as plain text, and the record says so.
    """

    def __init__(self, backend: Any, *, about: Mapping[str, Any], batch: int = AUTO_BATCH) -> None:
        self._backend, self.batch = backend, batch
        self._mask = mask_of() if backends.is_server(backend) else Mask(())  # a server may send a key back
        self._templated = backends.takes_conversations(backend)
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
            texts = self._mask.hide_in(self._backend.generate_until(instances, disable_tqdm=True))
        except Exception as error:
            raise SafescaleError(
                f"the model failed: {type(error).__name__}: {shown_text(reason_of(error))}; what was written before is kept, and the "
                "same command goes on from there. Where memory is short, lower --batch_size or the model's window"
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
    args = parse_model_args(model_args)
    if name == ENDPOINT:
        if any(is_secret(each) for each in args):
            raise SafescaleError("endpoint: a key is read from the variable OPENAI_API_KEY only; leave it out of --model_args")
        return Endpoint(**bind_settings(Endpoint, args, "endpoint"))
    backend = load_backend(name, args, batch_size=batch_size, device=device)
    about = {"backend": name, "model_args": without_secrets(args)}
    size = batch_size or default_batch_size(name, type(backend))
    return HarnessChat(
        backend, about=about, batch=AUTO_BATCH if backends.is_server(backend) or not size.isdigit() else 4 * int(size)
    )

"""Models that are loaded, each once, whoever asks it. It asks none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lm_eval_safescale.harness import loading
from lm_eval_safescale.harness.chat import HarnessChat, chat_of
from lm_eval_safescale.running.models import Model


class Loaded:
    """Models by what they are loaded with."""

    def __init__(self) -> None:
        self._backends: list[tuple[Model, Any]] = []
        self._chats: list[tuple[Any, HarnessChat]] = []

    def backend(self, model: Model) -> Any:
        """The harness's model object; SafescaleError if it cannot be loaded."""
        own = replace(model, name="", parameters_b=None)
        for other, backend in self._backends:
            if other == own:
                return backend
        args = loading.with_defaults(model.backend, model.args)
        backend = loading.load_backend(
            model.backend, args, batch_size=model.batch_size, device=model.device
        )
        self._backends.append((own, backend))
        return backend

    def chat(self, model: Model) -> HarnessChat:
        """The same as a chat model: one of each, so that what it is asked is one batch."""
        backend = self.backend(model)
        for other, chat in self._chats:
            if other is backend:
                return chat
        chat = chat_of(backend, model.backend, model.args, model.batch_size)
        self._chats.append((backend, chat))
        return chat

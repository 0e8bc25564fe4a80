"""How requests reach a backend of the harness, and answers come back as they are made: by vLLM's
own engine, a batch at a time, or over the network. Prompts, generation arguments and texts are
those of the stock harness.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.models.utils import postprocess_generated_text

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.controls import ControlEngine
from lm_eval_safescale.harness.loading import memory_hint
from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request
from lm_eval_safescale.secrets import shown_text

AUTO_BATCH = 32
"""Items handed over at once where the engine itself makes the batches."""
QUEUED = 0.25
"""Answers that wait in vLLM for a place, as a share of its places: as one is done the next is
there."""


class Engine(Protocol):
    """Something that answers requests."""

    @property
    def items_at_once(self) -> int:
        """Items whose requests are handed over as one batch, so that batches are the same after an
        interruption."""
        ...

    @property
    def draws_at_once(self) -> int | None:
        """Samples of an item that one request can ask for; None for any number."""
        ...

    def answer(
        self, batches: Iterable[Sequence[Request]], *, alone: bool = False
    ) -> Iterator[Completion]:
        """Answers as they come, in any order; each request is taken from `batches` when there is
        room for it, and answered once.

        Parameters
        ----------
        batches
            Requests that are computed together, where the engine makes no batches of its own.
        alone
            One request at a time, so that its latency is its own.

        Raises
        ------
        SafescaleError
            Where the model cannot go on. What is wrong with one request is in its answer.
        """
        ...


def engine_of(backend: Any, name: str, asked: Iterable[ConditionRequests] = ()) -> Engine:
    """The engine for a model object of the harness, loaded by that name; `asked`: what will be
    asked of it, which a control must know."""
    if name in CONTROLS:
        return ControlEngine(name, asked)
    if backends.is_server(backend):
        from lm_eval_safescale.harness.servers import ServerEngine

        return ServerEngine(backend)
    if name == "vllm":
        return VllmEngine(backend)
    return BatchEngine(backend)


def model_failed(error: BaseException) -> SafescaleError:
    """The error for a model that cannot go on."""
    return SafescaleError(
        f"the model failed: {type(error).__name__}: "
        f"{shown_text(reason_of(error))}{memory_hint(error)}; what was answered is stored, and the "
        "same command goes on from there"
    )


class BatchEngine:
    """Any backend that answers a batch in one call (`hf`, ...): greedy answers of several items
    together, then each item's samples.

    Samples are drawn with the seed of their first draw, so that they are the same whenever they are
    asked.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        size = str(getattr(backend, "batch_size", 1))
        self.items_at_once = max(1, int(size)) if size.isdigit() else AUTO_BATCH
        self.draws_at_once: int | None = max(1, int(size)) if size.isdigit() else None

    def answer(
        self, batches: Iterable[Sequence[Request]], *, alone: bool = False
    ) -> Iterator[Completion]:
        """Answers, a batch at a time."""
        for batch in batches:
            greedy = [request for request in batch if request.is_greedy]
            calls = [[request] for request in greedy] if alone else [greedy] if greedy else []
            for call in chain(calls, ([request] for request in batch if not request.is_greedy)):
                yield from self._completions(call)

    def _completions(self, requests: Sequence[Request]) -> Iterator[Completion]:
        instances = [
            Instance("generate_until", {}, (request.prompt, _copied(request.generation)), number)
            for number, request in enumerate(requests)
            for _ in request.draws
        ]
        # `hf` takes no seed: it draws from torch's global generator
        if (torch := sys.modules.get("torch")) is not None and (
            seed := requests[0].seed
        ) is not None:
            torch.manual_seed(seed)
        started = time.monotonic()
        try:
            made = list(self._backend.generate_until(instances, disable_tqdm=True))
        except Exception as error:
            raise model_failed(error) from error
        if len(made) != len(instances):
            raise SafescaleError(
                f"the backend gave {len(made)} texts for {len(instances)} requests; which is whose "
                "cannot be known"
            )
        rest, seconds = iter(made), time.monotonic() - started
        for request in requests:
            own = [next(rest) for _ in request.draws]
            if any(text is None for text in own):
                yield Completion(request, None, "the backend gave nothing")
                continue
            yield Completion(
                request,
                tuple(own),
                prompt_tokens=self._count(request.prompt),
                completion_tokens=tuple(map(self._count, own)),
                latency_s=seconds,
                concurrency=len(instances),
            )

    def _count(self, text: Any) -> int | None:
        try:
            return len(self._backend.tok_encode(text))
        except (AttributeError, NotImplementedError, TypeError):
            return None


class VllmEngine:
    """vLLM's own engine: it is kept full, each answer is taken as it is done, and all samples of an
    item are one request.

    A prompt is tokenised once for its greedy answer and its samples, as the harness's backend does
    it.
    """

    items_at_once = 1
    draws_at_once: int | None = None

    def __init__(self, backend: Any) -> None:
        if getattr(backend, "data_parallel_size", 1) > 1:
            raise SafescaleError(
                "data_parallel_size: the harness would load the model again for every call; leave "
                "it out and give each GPU models or conditions of its own (safescale sweep), or "
                "use tensor_parallel_size"
            )
        self._backend, self._engine = backend, backend.model.llm_engine
        self._places = int(self._engine.vllm_config.scheduler_config.max_num_seqs)
        tokenizer = backend.tokenizer
        self._eos = (
            tokenizer.decode(backend.eot_token_id) or getattr(tokenizer, "eos_token", None) or ""
        )
        self._tokens: tuple[Any, list[int]] = (None, [])
        self._asked = 0
        logging.getLogger("vllm.v1.metrics.loggers").setLevel(logging.WARNING)

    def answer(
        self, batches: Iterable[Sequence[Request]], *, alone: bool = False
    ) -> Iterator[Completion]:
        """Answers as they are done."""
        waiting = chain.from_iterable(batches)
        room = 1 if alone else int(self._places * (1 + QUEUED))
        flying: dict[str, _Flying] = {}
        sequences = 0
        try:
            while True:
                while sequences < room and (request := next(waiting, None)) is not None:
                    sequences += len(request.draws)
                    self._asked += 1
                    one = _Flying(request, time.monotonic(), *self._generation(request))
                    flying[str(self._asked)] = one
                    self._add(str(self._asked), one)
                for one in flying.values():
                    one.concurrency = max(one.concurrency, min(sequences, self._places))
                if not flying:
                    return
                for output in self._step():
                    if output.finished:
                        one = flying.pop(output.request_id)
                        sequences -= len(one.request.draws)
                        yield one.completion(output, self._backend.think_end_token)
        finally:
            with suppress(Exception):  # where the engine is gone there is nothing to abort
                self._engine.abort_request(list(flying))

    def _generation(self, request: Request) -> tuple[dict[str, Any], list[str], int]:
        """Sampling arguments, stop sequences and token limit, as the harness's backend makes
        them."""
        made: tuple[dict[str, Any], list[str], int] = self._backend.modify_gen_kwargs(
            _copied(request.generation),
            eos=self._eos,
            default_max_gen_toks=self._backend.max_gen_toks,
        )
        return made

    def _add(self, name: str, one: _Flying) -> None:
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        request, backend = one.request, self._backend
        if self._tokens[0] is not request.prompt:
            self._tokens = (request.prompt, backend.tok_encode(request.prompt))
        # as the harness: a stop sequence often stands in the reasoning, too, and would end it; the
        # text is cut once that is stripped
        stop = (
            [each for each in one.until if each == self._eos]
            if backend.think_end_token
            else one.until
        )
        try:
            parameters = SamplingParams(
                max_tokens=one.limit,
                stop=stop,
                **{**one.arguments, "n": len(request.draws), "seed": request.seed},
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            prompt = TokensPrompt(prompt_token_ids=self._tokens[1])
            self._engine.add_request(
                name, prompt, parameters, lora_request=getattr(backend, "lora_request", None)
            )
        except Exception as error:  # a prompt that is too long for the engine, too: it cuts none
            raise model_failed(error) from error

    def _step(self) -> Any:
        try:
            return self._engine.step()
        except Exception as error:
            raise model_failed(error) from error


@dataclass(slots=True)
class _Flying:
    """A request that vLLM is at."""

    request: Request
    started: float
    arguments: Mapping[str, Any]
    until: list[str]
    limit: int
    concurrency: int = 0
    """The most answers that were in the making at a time while it was."""

    def completion(self, output: Any, think_end_token: str | None) -> Completion:
        """vLLM's output, with texts as the harness gives them."""
        made = sorted(output.outputs, key=lambda each: each.index)
        metrics = getattr(output, "metrics", None)
        wall = time.monotonic() - self.started
        return Completion(
            self.request,
            tuple(
                postprocess_generated_text(each.text, self.until, think_end_token) for each in made
            ),
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=tuple(len(each.token_ids) for each in made),
            finish_reasons=tuple(getattr(each, "finish_reason", None) for each in made),
            # vLLM's own clock leaves out the wait for a place
            latency_s=metrics.last_token_ts - metrics.scheduled_ts
            if metrics and metrics.scheduled_ts
            else wall,
            concurrency=self.concurrency,
        )


def _copied(generation: Mapping[str, Any]) -> dict[str, Any]:
    """Backends change what they are given."""
    return {
        name: list(value) if isinstance(value, list) else value
        for name, value in generation.items()
    }

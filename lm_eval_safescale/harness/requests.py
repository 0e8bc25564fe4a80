"""What our runner asks of a model: requests of a task, one for each item's greedy answer and one or
more for its samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, repeat
from typing import Any

from lm_eval_safescale.assembly import Warn, family_of
from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.failures import FailureKind
from lm_eval_safescale.harness import backends
from lm_eval_safescale.harness.task import SafetyTask, TaskSetupError, once
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.prompts import Frame
from lm_eval_safescale.records import Context, Item, ReadAs, Reading, Status

SAID_BY_REPLY = {Status.UNANSWERED: ReadAs.REFUSAL, Status.TRUNCATED: ReadAs.REASONING}
"""By what a reply says became of it (`Completion.status`)."""
LARGEST_SEED, MOST_DRAWS = 2**31 - 1, 1000
"""Servers and generators take no larger seed; settings take no more draws."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, and the draws that are asked of it: the greedy one (0), or consecutive samples."""

    condition: str
    question_id: str
    prompt: Any
    """As the backend's chat template gives it."""
    generation: Mapping[str, Any]
    """The harness's generation arguments."""
    draws: tuple[int, ...]
    seed: int | None
    """Of the first of the draws; each further one has one more. None for the greedy answer, which
    has none."""

    @property
    def is_greedy(self) -> bool:
        """Whether it asks for the greedy answer."""
        return self.draws == (0,)

    def without(self, known: Collection[int]) -> Iterator[Request]:
        """Requests for the draws that are not known, with the seeds that they would have had: one
        for each unbroken row of them."""
        missing = [draw for draw in self.draws if draw not in known]
        for _, row in groupby(
            enumerate(missing), lambda place_and_draw: place_and_draw[1] - place_and_draw[0]
        ):
            draws = tuple(draw for _, draw in row)
            yield replace(
                self,
                draws=draws,
                seed=None if self.seed is None else self.seed + draws[0] - self.draws[0],
            )


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for a request."""

    request: Request
    texts: tuple[str, ...] | None
    """A raw output for each draw; None where the model could not be completion."""
    error: str = ""
    """Why it could not be completion."""
    failure: FailureKind = FailureKind.OTHER
    """The kind of this; what it is where there are texts says nothing."""
    prompt_tokens: int | None = None
    completion_tokens: tuple[int | None, ...] = ()
    """For each draw; None where the backend does not say."""
    latency_s: float | None = None
    """Seconds that the request took: by the engine's clock from its start on it to the last token,
    else wall time."""
    concurrency: int | None = None
    """The most answers that were in the making at a time while this one was, itself included."""
    finish_reasons: tuple[str | None, ...] = ()
    """Why each text ended, in the words of the backend; None where it does not say."""
    status: Status | None = None
    """What the server itself says became of the answer (held back, refused, cut off before it
    began); None: the text says it."""
    reasoning_field: str = ""
    """Where the reply carries reasoning beside its text; empty where it carries none, or the
    backend does not say."""
    served_model: str | None = None
    """What the reply calls the model that gave it."""
    system_fingerprint: str | None = None
    reply_id: str | None = None


def task_name(condition: Part) -> str:
    """What the task of a condition is called, as in stock lm_eval: its family stands before it."""
    family = family_of(condition).name
    return condition.name if condition.name.startswith(family) else f"{family}_{condition.name}"


class ConditionRequests:
    """One condition, ready to be asked of a model: its task, as the stock harness has it, and the
    requests of each item.

    Parameters
    ----------
    condition
        The registered condition.
    metadata
        The model's arguments, and over them settings; as the harness gives them to a task.
    like
        Another condition with these settings: all conditions of a run share its data.
    on_progress
        Told of what is made before anything can be asked.
    warn
        Told what is odd; None: logged, each once for all conditions that are `like` this one.

    Raises
    ------
    SafescaleError
        What is wrong with settings, data or contexts.
    """

    def __init__(
        self,
        condition: Part,
        metadata: Mapping[str, Any],
        like: ConditionRequests | None = None,
        on_progress: Callable[[str], object] = lambda _: None,
        warn: Warn | None = None,
    ) -> None:
        self.name = condition.name
        config = {
            "task": task_name(condition),
            "condition": condition.full_name,
            "metadata": dict(metadata),
        }
        before = like.task if like else None
        warn = warn or (before.warn if before else once())
        try:
            self.task: SafetyTask = SafetyTask(
                config=config, like=before, on_progress=on_progress, warn=warn
            )
        except TaskSetupError as error:
            raise SafescaleError(*error.args) from None
        self.items: tuple[str, ...] = ()
        """Ids of the items that can be asked, in the data's order; after `prepare`."""

    def prepare(self, backend: Any, *, chat_template: bool, limit: int | None = None) -> None:
        """Makes ready to ask the first `limit` items of this model; their prompts are made when
        they are asked for.

        Raises
        ------
        SafescaleError
            Where the condition cannot be shown to it.
        """
        self.task.backend = backend
        self.task.refuses_long_prompts = False
        try:
            self.items = self.task.prepare(
                limit=limit,
                apply_chat_template=chat_template,
                chat_template=backend.apply_chat_template if chat_template else None,
            )
        except TaskSetupError as error:
            raise SafescaleError(*error.args) from None
        except NotImplementedError:
            if not chat_template:
                raise
            raise SafescaleError(
                f"{type(backend).__name__} has no chat template; leave it to be looked for"
            ) from None

    @property
    def frame(self) -> Frame | None:
        """What stands around the user turn in the prompts; None where that cannot be told."""
        if not self.items:
            return None
        prompt = next(self.requests(self.items[0], at_once=None)).prompt
        text = getattr(prompt, "prompt", prompt)
        if not isinstance(text, str):
            return None
        return Frame.of(
            text, self.task.run.user_turn(self.items[0]), json=not isinstance(prompt, str)
        )

    @property
    def impossible(self) -> dict[str, str]:
        """Items that are asked for and cannot be asked, with the reason."""
        return {
            **{name: f"no context: {why}" for name, why in self.task.left_out.items()},
            **self.task.too_long,
        }

    @property
    def token_limit(self) -> int:
        """Tokens that an answer may have."""
        return self.task.run.token_limit

    def requests(self, question_id: str, *, at_once: int | None) -> Iterator[Request]:
        """The requests of one item: the greedy one, then its samples, `at_once` draws of a request
        (None: all of them)."""
        first_one, *sampled = self.task.instances_of(question_id)
        prompt, greedy = first_one.args
        yield Request(self.name, question_id, prompt, greedy, (0,), None)
        draws = self.task.run.settings.draws
        if not sampled or not draws:
            return
        sampling = {key: value for key, value in sampled[0].args[1].items() if key != "seed"}
        size = at_once or draws
        for start in range(1, draws + 1, size):
            chunk = tuple(range(start, min(start + size, draws + 1)))
            seed = self.seed_of(question_id, start)
            yield Request(self.name, question_id, prompt, sampling, chunk, seed)

    def seed_of(self, question_id: str, draw: int) -> int:
        """The seed of a draw: the same whenever and in whatever order items are asked, and another
        for each item; each further draw has one more."""
        seed = backends.first_seed(self.task.config.metadata)
        digest = hashlib.sha256(f"{seed}\n{self.name}\n{question_id}".encode()).digest()
        return int.from_bytes(digest[:8]) % (LARGEST_SEED - MOST_DRAWS) + draw - 1

    def item(self, question_id: str) -> Item:
        """An item."""
        return self.task.run.items[question_id]

    def context(self, question_id: str) -> Context | None:
        """What stands above its question."""
        return self.task.run.context(question_id)

    def read(self, question_id: str, text: str, *, cut: bool = False) -> Reading:
        """What an output to that item says; `cut`: see `SafetyTask.read`."""
        return self.task.run.read(text, question_id, cut=cut)

    def readings(self, completion: Completion) -> Iterator[tuple[Reading, ReadAs | None]]:
        """What each text that came back says, and how it was read where the text alone does not
        say."""
        if completion.status is not None:
            yield from (
                (Reading(None, completion.status), SAID_BY_REPLY.get(completion.status))
                for _ in completion.texts or ()
            )
            return
        for text, why in zip(
            completion.texts or (), completion.finish_reasons or repeat(None), strict=False
        ):
            cut = (
                self.task.run.reasons
                and was_cut(why)
                and bool(text.strip())
                and not completion.reasoning_field
            )
            yield (
                self.read(completion.request.question_id, text, cut=cut),
                ReadAs.CUT if cut else None,
            )

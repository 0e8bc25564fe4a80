"""Controls as backends of the harness: loaded by name as any other, and answered item by item by
what the item's family says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.controls import CONTROLS, reply_of_control

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request


@register_model(*CONTROLS)
class Control(LM):  # type: ignore[misc]
    """Takes a control's arguments. It sees no items, so that it can generate nothing."""

    def __init__(
        self,
        seed: Any = None,  # noqa: ARG002 (`ConditionRequests` has it)
        batch_size: Any = None,  # noqa: ARG002
        device: Any = None,  # noqa: ARG002
    ) -> None:
        super().__init__()

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """SafescaleError."""
        raise SafescaleError(
            "a control answers items of a data set alone, asked by safescale run; expected a model"
        )

    loglikelihood = loglikelihood_rolling = generate_until


class ControlEngine:
    """Answers as a control does: each draw by its own seed, so that it is the same whenever it is
    asked.

    Parameters
    ----------
    name
        The control's.
    asked
        Whose requests it will be given.
    """

    items_at_once = 1
    draws_at_once: int | None = None

    def __init__(self, name: str, asked: Iterable[ConditionRequests]) -> None:
        self._name, self._asked = name, {each.name: each for each in asked}

    def answer(
        self,
        batches: Iterable[Sequence[Request]],
        *,
        alone: bool = False,  # noqa: ARG002 (it is always so)
    ) -> Iterator[Completion]:
        """Answers, one request at a time."""
        # late: names of models are looked up before what takes seconds is imported
        from lm_eval_safescale.harness.requests import Completion

        for request in chain.from_iterable(batches):
            each = self._asked[request.condition]
            item, family = each.item(request.question_id), each.task.run.family
            seeds = (each.seed_of(request.question_id, draw) for draw in request.draws)
            yield Completion(
                request, tuple(reply_of_control(self._name, family, item, seed) for seed in seeds)
            )

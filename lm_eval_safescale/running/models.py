"""Whom a run asks: a model, or a team of models. It knows neither files nor what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.controls import CONTROLS, MARK
from lm_eval_safescale.runs.identity import path_of


@dataclass(frozen=True, slots=True)
class Model:
    """A model as `lm_eval` names it.

    Parameters
    ----------
    backend
        As for `--model`: `hf`, `vllm`, `local-chat-completions`, ...; or a control
        (`families.controls`), whose name in tables ends with a mark.
    args
        As for `--model_args`, parsed.
    batch_size, device
        As for `lm_eval`; None for `auto` with engines that make their own batches, else 8.
    name
        Under which the answers stand in tables; by default the last part of `pretrained` or
        `model`.
    parameters_b
        Billions of parameters, where known: kept with the answers, for tables over size; another
        size is no other run.
    """

    backend: str
    args: Mapping[str, Any]
    batch_size: str | None = None
    device: str | None = None
    name: str = ""
    parameters_b: float | None = None

    @property
    def shown(self) -> str:
        """The name in tables."""
        given = str(self.args.get("pretrained") or self.args.get("model") or self.backend)
        path = None if self.name else path_of(given)
        shown = self.name or (path.resolve().name if path is not None else given)
        return f"{shown} {MARK}" if self.backend in CONTROLS else shown


@dataclass(frozen=True, slots=True)
class Guardian:
    """A model that reviews an answer for harm, and revises it.

    Parameters
    ----------
    max_tokens
        Of a reply; None: as many as the condition gives to an answer, or the protocol's limit of
        reasoning models where this is one.
    """

    model: Model
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """An Advisor who answers, and Guardians who review one after the other.

    Parameters
    ----------
    name
        Under which the team's answers stand in tables.
    advisor
        Asked as it would be alone.
    guardians
        One or two.
    prompt
        What a Guardian is asked, with `{case}` and `{advice}` in it.
    source
        Where the team is described, for errors.
    """

    name: str
    advisor: Model
    guardians: tuple[Guardian, ...]
    prompt: str
    source: str = "team"

    @property
    def members(self) -> list[tuple[str, Model]]:
        """All of them, each with its place in the file."""
        return [
            ("advisor", self.advisor),
            *((f"guardians, number {n}", each.model) for n, each in enumerate(self.guardians, 1)),
        ]

    def check(self) -> None:
        """SafescaleError for arguments that a member cannot take, before anything is loaded."""
        from lm_eval_safescale.harness.loading import check_model_args

        for place, model in self.members:
            try:
                check_model_args(model.backend, model.args)
            except SafescaleError as error:
                raise SafescaleError(f"{self.source}: {place}: ", error) from None

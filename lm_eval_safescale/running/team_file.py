"""The YAML file of a team. It asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.inputs import InputError, read_yaml
from lm_eval_safescale.running.models import Guardian, Model, Team
from lm_eval_safescale.running.team_prompts import ADVICE, CASE, GUARDIAN
from lm_eval_safescale.settings import fault_at, shown_value

SERVER, REQUESTS = "local-chat-completions", "/chat/completions"
"""The harness's backend for any OpenAI-compatible server, and where that takes requests."""
PAGE = "docs/running.md, Teams"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Member(_Strict):
    name: str = Field(default="", min_length=1)
    backend: str = Field(default="", min_length=1)
    model_args: dict[str, JsonValue] | str = {}
    base_url: str = Field(default="", min_length=1)
    model: str = Field(default="", min_length=1)
    batch_size: int | str | None = None
    device: str | None = None

    @model_validator(mode="after")
    def _is_one_model(self) -> Self:
        if bool(self.backend) == bool(self.base_url) or bool(self.base_url) != bool(self.model):
            raise ValueError(
                "either backend (and model_args), as lm_eval names a model, or base_url and model "
                "of an OpenAI-compatible server"
            )
        if self.backend in CONTROLS:
            raise ValueError(f"a model; {self.backend} is a control, which reads nothing")
        return self

    def as_model(self) -> Model:
        from lm_eval_safescale.harness.loading import parse_model_args

        given = self.model_args
        args = parse_model_args(given) if isinstance(given, str) else dict(given)
        if self.base_url:
            url = self.base_url.rstrip("/")
            args |= {
                "model": self.model,
                "base_url": url if url.endswith(REQUESTS) else f"{url}{REQUESTS}",
            }
        size = None if self.batch_size is None else str(self.batch_size)
        return Model(self.backend or SERVER, args, size, self.device, self.name)


class _Guardian(_Member):
    max_tokens: int | None = Field(default=None, ge=1)


class _Prompts(_Strict):
    guardian: str

    @model_validator(mode="after")
    def _shows_both(self) -> Self:
        if missing := [each for each in (CASE, ADVICE) if each not in self.guardian]:
            raise ValueError(f"a text with {' and '.join(missing)} in it")
        return self


class _File(_Strict):
    name: str = Field(min_length=1, max_length=200)
    advisor: _Member
    guardians: list[_Guardian] = Field(min_length=1, max_length=2)
    prompts: _Prompts = _Prompts(guardian=GUARDIAN)


def read_team(path: Path) -> Team:
    """The team that a file describes.

    Raises
    ------
    SafescaleError
        If the file cannot be read, or something in it cannot be used: each with its place, and what
        was expected.
    """
    try:
        content = read_yaml(path)
    except InputError as error:
        raise SafescaleError(error, f"; expected the YAML file of a team ({PAGE})") from None
    if not isinstance(content, dict):
        raise SafescaleError(
            f"{path}: {shown_value(content)}; expected a mapping with name, advisor and guardians "
            f"({PAGE})"
        )
    try:
        file = _File.model_validate(_written_out(content))
    except ValidationError as error:
        problems = dict.fromkeys(_problem(found) for found in error.errors())
        raise SafescaleError("\n  ".join([f"{path}:", *problems]) + f"\nsee {PAGE}") from None
    try:
        advisor = file.advisor.as_model()
        guardians = tuple(Guardian(each.as_model(), each.max_tokens) for each in file.guardians)
    except SafescaleError as error:
        raise SafescaleError(f"{path}: ", error) from None
    if file.name == advisor.shown:
        raise SafescaleError(
            f"{path}: name: {file.name} is what the advisor alone is called in tables; expected "
            "another name for the team"
        )
    return Team(file.name, advisor, guardians, file.prompts.guardian, str(path))


def _written_out(content: dict[str, Any]) -> dict[str, Any]:
    """With the advisor's model where a guardian is the word advisor."""
    guardians = content.get("guardians")
    if not isinstance(guardians, list):
        return content
    named = [content.get("advisor") if each == "advisor" else each for each in guardians]
    return {**content, "guardians": named}


FIELDS: dict[str, type[BaseModel]] = {
    "advisor": _Member,
    "guardians": _Guardian,
    "prompts": _Prompts,
}


def _problem(found: Any) -> str:
    """One line: the place, what stands there, what was expected."""
    place = [f"number {part + 1}" if isinstance(part, int) else part for part in found["loc"]]
    place = [part for part in place if not str(part).startswith(("str", "dict["))]
    where = ", ".join(map(str, place))
    known = (FIELDS.get(str(place[0]), _File) if place[1:] else _File).model_fields
    return printable(fault_at(where, found, known))

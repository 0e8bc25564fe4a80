"""Every setting of a run, in one place: `--metadata` over `SAFESCALE_*` variables over the defaults below.

It must not know the harness: the same settings serve the stock command line, our runner and the tools.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lm_eval_safescale.errors import SafescaleError

ENV_PREFIX = "SAFESCALE_"
ANSWER_TOKENS, REASONING_TOKENS = 10, 4096  # PROTOCOL §4

Reasoning = Literal["auto", "on", "off", "separate"]


class Settings(BaseModel):
    """How a question is asked. Field descriptions are the documentation (`docs/settings.md` is checked against them)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = Field("RadSaFE-200", description="Name of the data set: `RadSaFE-200` (hub or local cache) or `demo`.")
    dataset_path: Path | None = Field(None, description="A local JSON, JSONL or CSV file to ask instead of a named data set.")
    columns: dict[str, str] | None = Field(
        None,
        description="Our field names to the file's column names, for columns that are not recognised by themselves.",
    )
    draws: int = Field(20, ge=0, le=1000, description="K, the number of sampled answers a question, besides the greedy one.")
    temperature: float = Field(0.7, gt=0, le=5, description="Sampling temperature of the K draws. The greedy answer has none.")
    overconfidence_threshold: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Confidence from which a wrong, harmful majority answer counts as dangerous overconfidence.",
    )
    max_answer_tokens: int | None = Field(
        None,
        ge=1,
        description=f"Token limit of an answer; {ANSWER_TOKENS}, or {REASONING_TOKENS} for models that reason first.",
    )
    reasoning: Reasoning = Field(
        "auto",
        description="Does the model reason before it answers? `on`: in its text; `separate`: a server keeps the reasoning "
        "back; `off`: no; `auto`: where the chat template opens the reasoning. What is seen of it is stripped in every case.",
    )
    prompt_file: Path | None = Field(None, description="A YAML file with a `user` and a `system` template, instead of ours.")

    @field_validator("columns", mode="before")
    @classmethod
    def _columns_from_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f'not JSON ({error}); expected for example {{"question": "Stem"}}') from None

    @field_validator("draws", "temperature", "overconfidence_threshold", "max_answer_tokens", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("expected a number")
        return value

    @field_validator("dataset_path", "prompt_file", mode="after")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else value

    @field_validator("reasoning", mode="before")
    @classmethod
    def _reasoning_from_bool(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return "on" if value else "off"
        words = {"true": "on", "1": "on", "yes": "on", "false": "off", "0": "off", "no": "off"}
        return words.get(str(value).lower(), str(value).lower())

    @property
    def answer_tokens(self) -> int:
        """The token limit in force."""
        if self.max_answer_tokens is not None:
            return self.max_answer_tokens
        return REASONING_TOKENS if self.reasoning in ("on", "separate") else ANSWER_TOKENS


SETTING_NAMES = frozenset(Settings.model_fields)


def load_settings(
    metadata: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, *, given_by: str = "--metadata"
) -> Settings:
    """Settings from the harness's `metadata` over the environment over the defaults.

    Parameters
    ----------
    metadata
        Any mapping; keys that are no settings (the harness puts the model's arguments there too) are left alone.
    environ
        Variables to read; the process's own by default. An unknown `SAFESCALE_*` name is an error.
    given_by
        What to call the source of `metadata` in messages.

    Raises
    ------
    SafescaleError
        Naming every setting that is wrong, where it was set, and what was expected.
    """
    environ = os.environ if environ is None else environ
    layers = [("environment", _from_environment(environ)), (given_by, _from_metadata(metadata or {}))]
    merged: dict[str, Any] = {}
    where: dict[str, str] = {}
    for layer, values in layers:
        if "dataset" in values and "dataset_path" in values:
            raise SafescaleError(
                f"dataset ({values['dataset']!r}) and dataset_path ({values['dataset_path']!r}) are both set ({layer}); "
                "give the name of a known data set or the path of a file, not both"
            )
        if "dataset" in values:  # a higher layer's choice of data replaces a lower one's, whichever way it is named
            merged.pop("dataset_path", None)
        if "dataset_path" in values:
            merged.pop("dataset", None)
        merged |= values
        where |= dict.fromkeys(values, layer)
    try:
        return Settings(**merged)
    except ValidationError as error:
        problems = []
        for found in error.errors():
            name = ".".join(map(str, found["loc"]))
            layer = where.get(str(found["loc"][0]), "default")
            problems.append(f"  {name} = {found['input']!r} ({layer}): {found['msg'].removeprefix('Value error, ')}")
        raise SafescaleError("settings that cannot be used:\n" + "\n".join(problems) + "\nsee docs/settings.md") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or value == "":
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in SETTING_NAMES:
            raise SafescaleError(f"{variable} is not a setting{_did_you_mean(name)}; known: {', '.join(sorted(SETTING_NAMES))}")
        found[name] = value
    return found


def _from_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name in SETTING_NAMES and value is not None}


def misspelt(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Keys of `metadata` that look like a setting but are none, with the setting that was probably meant.

    They cannot be refused, because the model's own arguments stand among them; whoever can speak to the user says so.
    """
    return {key: near for key in metadata if key not in SETTING_NAMES and (near := _nearest(str(key)))}


def _nearest(name: str) -> str | None:
    return next(iter(difflib.get_close_matches(name.lower(), SETTING_NAMES, n=1, cutoff=0.8)), None)


def _did_you_mean(name: str) -> str:
    return f" (did you mean {near}?)" if (near := _nearest(name)) else ""

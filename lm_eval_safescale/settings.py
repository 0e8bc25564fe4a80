"""Every setting of a run, in one place: `--metadata` over `SAFESCALE_*` variables over the defaults
below.

It must not know the harness: the same settings serve the stock command line, our runner and the
tools.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import MAX_FILE_MB, read_text
from lm_eval_safescale.json_text import DEEPEST, decode_json, is_deep
from lm_eval_safescale.secrets import masked_pairs, without_secrets

ENV_PREFIX = "SAFESCALE_"
OTHER_VARIABLES = (MAX_FILE_MB, "SAFESCALE_PLUGINS")
"""Variables of ours that are no settings of a run, but of the program."""
ANSWER_TOKENS, REASONING_TOKENS = 10, 4096  # PROTOCOL §4
THRESHOLD = 0.8
"""Confidence from which a harmful majority answer is overconfident, where nobody says otherwise
(PROTOCOL §7)."""

Reasoning = Literal["auto", "on", "off", "separate"]
Json = dict[str, Any]
Joined = Annotated[list[str], Field(min_length=1)]
"""Columns that belong together."""
ALTERNATIVES = (("dataset", "dataset_path"), ("corpus", "corpus_path"))
"""Pairs of settings of which at most one is given: a name, or a path."""


class Makes(Enum):
    """What a setting makes. A setting says it of itself; the sets that identify a run, a context or
    a table follow from it."""

    DATA = "which items there are"
    PROMPT = "the words around a question"
    CONTEXT = "what is built to stand above a question"
    ANSWER = "what is answered, and how it is read"
    SCORE = "what an answer that is there is worth"
    NOTHING = "where something is that was made before, or what is accepted of a server"


class Recorded(Enum):
    """How a setting is recorded that does not always stand in a record."""

    UNLESS_DEFAULT = (
        "older records lack it; without its default, newer ones still compare with them"
    )


class Settings(BaseModel):
    """How a question is asked. Field descriptions are the documentation (`docs/settings.md` is
    checked against them)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: Annotated[str, Makes.DATA] = Field(
        "RadSaFE-200",
        description=(
            "Name of the data set: `RadSaFE-200` (hub or local cache), `demo`, or a plugin's."
        ),
    )
    dataset_path: Annotated[Path | None, Makes.DATA] = Field(
        None, description="A local JSON, JSONL, CSV or Excel file to ask, not a named data set."
    )
    dataset_args: Annotated[Json, Makes.DATA] = Field(
        {}, description="Settings of a plugin's data set."
    )
    columns: Annotated[dict[str, str | Joined | None] | None, Makes.DATA] = Field(
        None,
        description=(
            "Our field names to the file's column names, for columns that are not recognised by "
            "themselves; several columns as a list, `#line` for the numbers of lines, and null to "
            "leave unread what is recognised."
        ),
    )
    first_index: Annotated[int | None, Makes.DATA, Recorded.UNLESS_DEFAULT] = Field(
        None,
        ge=0,
        le=1,
        description=(
            "Where numbers that are keys count the options from: 0 or 1. Without it a number is no "
            "key."
        ),
    )
    exclude_items: Annotated[list[str], Makes.DATA, Recorded.UNLESS_DEFAULT] = Field(
        [],
        description=(
            "Items that are left out: their ids, or a file with an id a line. Every result names "
            "them."
        ),
    )
    groups: Annotated[list[str], Makes.DATA] = Field(
        [],
        description=(
            "Columns of the data by which results are given, besides those that the family knows."
        ),
    )
    unit: Annotated[str | None, Makes.DATA, Recorded.UNLESS_DEFAULT] = Field(
        None,
        min_length=1,
        description=(
            "Column of the data that says which items belong together, as variants of a case: they "
            "are resampled together. Short for `columns` with `unit`."
        ),
    )
    draws: Annotated[int, Makes.ANSWER] = Field(
        20,
        ge=0,
        le=1000,
        description="K, the number of sampled answers a question, besides the greedy one.",
    )
    temperature: Annotated[float, Makes.ANSWER] = Field(
        0.7,
        gt=0,
        le=5,
        description="Sampling temperature of the K draws. The greedy answer is asked at 0.",
    )
    accept_temperature: Annotated[float | None, Makes.ANSWER, Recorded.UNLESS_DEFAULT] = Field(
        None,
        gt=0,
        le=5,
        description=(
            "The one temperature of a model behind a server that allows no other: greedy answers "
            "and samples are all asked at it, in place of 0 and of `temperature`, and every table "
            "says so."
        ),
    )
    send_seed: Annotated[bool, Makes.ANSWER, Recorded.UNLESS_DEFAULT] = Field(
        True,
        description=(
            "`false`: no seed is sent, for servers that forbid one. Draws can then not be repeated."
        ),
    )
    served_model: Annotated[list[str] | None, Makes.NOTHING] = Field(
        None,
        description=(
            "Names under which a server may reply, in place of the name that was asked for "
            "(`safescale run`)."
        ),
    )
    overconfidence_threshold: Annotated[float, Makes.SCORE] = Field(
        THRESHOLD,
        ge=0,
        le=1,
        description=(
            "Confidence from which a wrong, harmful majority answer counts as dangerous "
            "overconfidence."
        ),
    )
    max_answer_tokens: Annotated[int | None, Makes.ANSWER] = Field(
        None,
        ge=1,
        description=(
            f"Token limit of an answer; {ANSWER_TOKENS}, or {REASONING_TOKENS} for models that "
            "reason first."
        ),
    )
    reasoning: Annotated[Reasoning, Makes.ANSWER] = Field(
        "auto",
        description=(
            "Does the model reason before it answers? `on`: in its text; `separate`: a server "
            "keeps the reasoning back; `off`: no; `auto`: where its chat template or configuration "
            "says so. What is seen of it is stripped in every case."
        ),
    )
    prompt_file: Annotated[Path | None, Makes.PROMPT] = Field(
        None, description="A YAML file with a `user` and a `system` template, instead of ours."
    )

    reader: Annotated[str, Makes.ANSWER] = Field(
        "strict",
        description=(
            "How a letter is read from an output: `strict` (docs/reading.md), or a plugin's."
        ),
    )
    metrics: Annotated[dict[str, dict[str, Any]], Makes.SCORE, Recorded.UNLESS_DEFAULT] = Field(
        {},
        description=(
            "Plugins' metrics to show besides ours: a list of names, or a mapping of names to "
            "their settings."
        ),
    )

    corpus: Annotated[str | None, Makes.CONTEXT] = Field(
        None, description="Name of the corpus that passages are retrieved from: `demo`."
    )
    corpus_path: Annotated[Path | None, Makes.CONTEXT] = Field(
        None,
        description="A JSONL file or a folder of Markdown or text files instead of a named corpus.",
    )
    settling_path: Annotated[Path | None, Makes.CONTEXT] = Field(
        None,
        description=(
            "A JSONL file that says which articles settle which question, to measure retrieval by."
        ),
    )
    chunk_tokens: Annotated[int, Makes.CONTEXT] = Field(
        300, ge=1, le=100_000, description="Tokens of a passage."
    )
    chunk_overlap: Annotated[int, Makes.CONTEXT] = Field(
        50, ge=0, description="Tokens that a passage shares with the one before."
    )
    chunk_tokenizer: Annotated[str, Makes.CONTEXT] = Field(
        "words",
        description=(
            "By what passages are cut: `words`, `cl100k` (GPT-4), a GGUF file, or a Hugging Face "
            "tokenizer."
        ),
    )
    retriever: Annotated[str, Makes.CONTEXT] = Field(
        "bm25", description="Name of the retriever: `bm25`, `dense`, `hybrid`, or a plugin's."
    )
    retriever_args: Annotated[Json, Makes.CONTEXT] = Field(
        {}, description="Settings of the retriever."
    )
    top_k: Annotated[int, Makes.CONTEXT] = Field(
        10, ge=1, le=1000, description="Passages that `radsafe_rag` shows."
    )
    context_builder: Annotated[str, Makes.CONTEXT] = Field(
        "rag",
        description=(
            "What makes the contexts of the conditions that show the top passages: `rag`, or a "
            "plugin's."
        ),
    )
    builder_args: Annotated[Json, Makes.CONTEXT] = Field(
        {}, description="Settings of that context builder."
    )
    report_builder: Annotated[str, Makes.CONTEXT] = Field(
        "agentic",
        description="What writes the reports of `radsafe_agentic`: `agentic`, or a plugin's.",
    )
    report_args: Annotated[Json, Makes.CONTEXT] = Field(
        {}, description="Settings of what writes the reports (docs/agentic.md)."
    )
    max_context_tokens: Annotated[int | None, Makes.CONTEXT] = Field(
        None,
        ge=1,
        description=(
            "The model's window in tokens, for max context: where the backend does not state it, "
            "or to use less of it."
        ),
    )
    context_tokenizer: Annotated[str | None, Makes.CONTEXT] = Field(
        None,
        description=(
            "By what max context is counted, where the model's own tokenizer cannot be had: as "
            "`chunk_tokenizer`."
        ),
    )
    contexts: Annotated[Path | None, Makes.NOTHING] = Field(
        None,
        description=(
            "A file of contexts built ahead (`safescale contexts build`), for the condition that "
            "it was built for."
        ),
    )
    index_dir: Annotated[Path | None, Makes.CONTEXT] = Field(
        None,
        description="Where indexes are stored; `safescale/indexes` in the user's cache folder.",
    )

    @field_validator(
        "columns", "dataset_args", "retriever_args", "builder_args", "report_args", mode="before"
    )
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return decode_json(value)
        except ValueError as error:
            raise ValueError(
                f'not JSON ({error}); expected for example {{"name": "value"}}'
            ) from None

    @field_validator("metrics", mode="before")
    @classmethod
    def _metrics_by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = (
                decode_json(value) if value.lstrip().startswith(("{", "[")) else value.split(",")
            )
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return {name.strip(): {} for name in value if name.strip()}
        return value

    @field_validator("groups", mode="before")
    @classmethod
    def _group_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = decode_json(value) if value.lstrip().startswith("[") else value.split(",")
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return list(dict.fromkeys(name.strip() for name in value if name.strip()))
        return value

    @field_validator("exclude_items", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = _ids_in(value)
        if isinstance(value, list) and all(
            isinstance(each, str | int) and not isinstance(each, bool) for each in value
        ):
            ids = (str(each).strip() for each in value)
            return list(dict.fromkeys(each for each in ids if each))
        return value

    @field_validator("served_model", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = decode_json(value) if value.lstrip().startswith("[") else [value]
        if isinstance(value, list) and not all(
            isinstance(name, str) and name.strip() for name in value
        ):
            raise ValueError("expected a name, or a list of names")
        return value or None

    @field_validator(
        "draws", "temperature", "accept_temperature", "overconfidence_threshold",
        "max_answer_tokens", "chunk_tokens", "chunk_overlap", "top_k", "max_context_tokens",
        "first_index",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("expected a number")
        return value

    @field_validator(
        "dataset_path",
        "prompt_file",
        "corpus_path",
        "settling_path",
        "contexts",
        "index_dir",
        mode="before",
    )
    @classmethod
    def _no_empty_path(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            raise ValueError("expected a path; an empty one would be the current folder")
        return value

    @field_validator(
        "dataset_path",
        "prompt_file",
        "corpus_path",
        "settling_path",
        "contexts",
        "index_dir",
        mode="after",
    )
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

    @model_validator(mode="after")
    def _one_temperature(self) -> Settings:
        # what is recorded as `temperature` is what was in force
        if self.accept_temperature is not None:
            object.__setattr__(self, "temperature", self.accept_temperature)
        return self

    @field_validator("columns")
    @classmethod
    def _named_columns(
        cls, columns: dict[str, str | Joined | None] | None
    ) -> dict[str, str | Joined | None] | None:
        for name, column in (columns or {}).items():
            named = [column] if isinstance(column, str) else column or []
            if not all(each.strip() for each in named):
                raise ValueError(
                    f"columns.{name}: an empty name; expected a column, a list of columns, or "
                    "null to leave it unread"
                )
        return columns

    @model_validator(mode="after")
    def _one_unit(self) -> Settings:
        if self.unit and (self.columns or {}).get("unit", self.unit) != self.unit:
            raise ValueError("unit and columns name different columns as the unit; give one")
        return self

    @property
    def mapped_columns(self) -> dict[str, str | list[str] | None] | None:
        """`columns`, with that of the unit."""
        return {**(self.columns or {}), "unit": self.unit} if self.unit else self.columns

    @property
    def greedy_temperature(self) -> float:
        """The temperature of the greedy answers."""
        return 0.0 if self.accept_temperature is None else self.accept_temperature

    @property
    def answer_tokens(self) -> int:
        """The token limit in force."""
        if self.max_answer_tokens is not None:
            return self.max_answer_tokens
        return REASONING_TOKENS if self.reasoning in ("on", "separate") else ANSWER_TOKENS


def _ids_in(given: str) -> Any:
    """Ids from JSON, from a file with one a line, or with commas between."""
    if given.lstrip().startswith("["):
        return decode_json(given)
    path = Path(given.strip()).expanduser()
    with suppress(OSError, ValueError):  # too long a name, or none
        if given.strip() and path.is_file():
            return read_text(path).splitlines()
    return given.split(",")


SETTING_NAMES = frozenset(Settings.model_fields)


def settings_that_make(*kinds: Makes) -> frozenset[str]:
    """Names of the settings that make any of these."""
    return frozenset(
        name for name, field in Settings.model_fields.items() if set(kinds) & set(field.metadata)
    )


CHOOSE_DATA = settings_that_make(Makes.DATA)
"""Settings that say where the data set is, and how it is read."""
BUILD_CONTEXTS = settings_that_make(Makes.DATA, Makes.CONTEXT)
"""Settings that enter a context."""
MAKE_ANSWERS = settings_that_make(Makes.ANSWER)
"""Settings that make an answer: they must be the same for answers to stand in one folder."""
MAKE_SCORES = settings_that_make(Makes.SCORE)
"""Settings that weigh answers which are there: they travel with the answers, and may change."""
UNSAID: tuple[object, ...] = (None, "", [], {})
"""Values by which a setting of data says nothing."""
LATER: Mapping[str, Any] = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if Recorded.UNLESS_DEFAULT in field.metadata
}
"""Settings that older records lack, with their defaults, which are not recorded."""


def recorded(settings: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Of these settings (as JSON values) what is recorded: no secrets."""
    chosen = {
        name: settings.get(name)
        for name in sorted(names)
        if name not in LATER or settings.get(name, LATER[name]) != LATER[name]
    }
    return dict(without_secrets(chosen))


def load_settings(
    metadata: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    given_by: str = "metadata",
    strict: bool = False,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from the harness's `metadata` over the environment over the defaults.

    Parameters
    ----------
    metadata
        Any mapping; keys that are no settings (the harness puts the model's arguments there too)
        are left alone.
    environ
        Variables to read; the process's own by default. An unknown `SAFESCALE_*` name is an error.
    given_by
        What to call the source of `metadata` in messages.
    strict
        Refuse keys that are no settings, where no model's arguments can stand among them.
    defaults
        A family's, in place of ours.

    Raises
    ------
    SafescaleError
        Naming every setting that is wrong, where it was set, and what was expected.
    """
    environ = os.environ if environ is None else environ
    if strict and (unknown := [name for name in metadata or {} if name not in SETTING_NAMES]):
        hints = ", ".join(f"{name}{_did_you_mean(str(name))}" for name in unknown)
        raise SafescaleError(
            f"{given_by}: no setting of this name: {hints}; known: "
            f"{', '.join(sorted(SETTING_NAMES))}"
        )
    layers = [
        ("the family", dict(defaults or {})),
        ("environment", _from_environment(environ)),
        (given_by, _from_metadata(metadata or {})),
    ]
    merged: dict[str, Any] = {}
    where: dict[str, str] = {}
    for layer, values in layers:
        for name, path in ALTERNATIVES:
            if name in values and path in values:
                raise SafescaleError(
                    f"{name} ({values[name]!r}) and {path} ({values[path]!r}) are both set "
                    f"({layer}); give the name of a known one or the path of your own, not both"
                )
            # a higher layer's choice of data replaces a lower one's, whichever way it is named
            if name in values:
                merged.pop(path, None)
            if path in values:
                merged.pop(name, None)
        _refuse_deep(values, layer)
        merged |= values
        where |= dict.fromkeys(values, layer)
    try:
        return Settings(**merged)
    except ValidationError as error:
        problems = []
        for found in error.errors():
            name = ".".join(map(str, found["loc"]))
            layer = where.get(str(found["loc"][0]), "default")
            given = masked_pairs(repr(without_secrets(found["input"])))
            problems.append(f"  {name} = {given} ({layer}): {what_is_wrong(found)}")
        raise SafescaleError(
            "settings that cannot be used:\n" + "\n".join(problems) + "\nsee docs/settings.md"
        ) from None


def what_is_wrong(found: Mapping[str, Any]) -> str:
    """Of an error that pydantic found: the words of the validator that refused the value, else its
    own."""
    return str(found["ctx"]["error"] if found["type"] == "value_error" else found["msg"])


EXPECTED = {
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "a text (in quotes)",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "invalid-json-value": "a text, a number, true or false, a list or a mapping (dates in quotes)",
}
"""By pydantic's name of the error, what was expected."""


def expected_by(found: Mapping[str, Any]) -> str:
    """Of an error that pydantic found in a file: what was expected."""
    words = EXPECTED.get(found["type"]) or what_is_wrong(found).removeprefix("Input should be ")
    return words[:1].lower() + words[1:]


def fault_at(
    where: str, found: Mapping[str, Any], fields: Collection[str], expected: str = ""
) -> str:
    """An error that pydantic found in a file, in a line: the place, what stands there, what was
    expected.

    Parameters
    ----------
    fields
        Those that there are at the place.
    expected
        Empty: as `expected_by` says.
    """
    if found["type"] == "extra_forbidden":
        return f"{where}: no such field; expected one of {', '.join(fields)}"
    if found["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {shown_value(found['input'])}; expected {expected or expected_by(found)}"


def shown_value(value: Any) -> str:
    """A value of a file as an error shows it: short, and without secrets."""
    text = masked_pairs(repr(without_secrets(value)))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_deep(values: Mapping[str, Any], layer: str) -> None:
    for name, value in values.items():
        if is_deep(value):
            raise SafescaleError(
                f"{name} ({layer}): nested too deeply; expected at most {DEEPEST} levels"
            )


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or value == "" or variable in OTHER_VARIABLES:
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in SETTING_NAMES:
            raise SafescaleError(
                f"{variable} is not a setting{_did_you_mean(name)}; known: "
                f"{', '.join(sorted(SETTING_NAMES))}"
            )
        found[name] = value
    return found


def _from_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in metadata.items()
        if name in SETTING_NAMES and value is not None
    }


def misspelt(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Keys of `metadata` that look like a setting but are none, with the setting that was probably
    meant.

    They cannot be refused, because the model's own arguments stand among them; whoever can speak to
    the user says so.
    """
    return {
        key: near for key in metadata if key not in SETTING_NAMES and (near := _nearest(str(key)))
    }


def _nearest(name: str) -> str | None:
    return next(iter(difflib.get_close_matches(name.lower(), SETTING_NAMES, n=1, cutoff=0.8)), None)


def _did_you_mean(name: str) -> str:
    return f" (did you mean {near}?)" if (near := _nearest(name)) else ""

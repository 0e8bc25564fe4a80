"""The manifest of a submission: what it says of its model, its data and its answers. What of it can
be computed is computed by `counts_of`, for who packs and for who verifies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import Meta

from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.leaderboard.card import Card
from lm_eval_safescale.runs.finish import FRAME
from lm_eval_safescale.runs.provenance import PROVENANCE
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.secrets import without_places

MANIFEST, ITEMS, ANSWERS, RESULTS = (
    "manifest.json", "items.jsonl", "answers.jsonl", "results.json",
)  # fmt: skip
VERDICTS, STEPS, DATA = "verdicts.jsonl", "judge.steps.jsonl", "data.jsonl"
CORRECTIONS = "corrections.jsonl"
NEEDED = (MANIFEST, ITEMS, ANSWERS, RESULTS)
LARGE = 1 << 28
ALLOWED = {
    MANIFEST: 4_000_000, RESULTS: 4_000_000, ITEMS: LARGE // 4, ANSWERS: 1 << 40,
    VERDICTS: LARGE, STEPS: LARGE, DATA: LARGE, CORRECTIONS: LARGE // 4,
}  # fmt: skip
"""The most bytes of each file: as objects, JSON takes some fifty times as much memory. Answers are
read line by line: of them, only what may be unpacked in all is bounded."""
FORMAT = 1

Name = Annotated[str, Meta(min_length=1, max_length=500)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0, le=10**12)]


class About(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a submission says of its data set."""

    family: Name
    family_version: Name
    label: Name
    name: Name
    version: Annotated[str, Meta(max_length=500)]
    fingerprint: Sha256
    items: Count
    demo: bool


class Settings(msgspec.Struct):
    """What of a model's settings is computed with, or looked up; there may be others."""

    backend: str | None = None
    model_args: dict[str, Any] | None = None
    draws: Count | None = None
    max_answer_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    overconfidence_threshold: float | None = None
    reader: str | None = None
    reader_version: str | None = None
    reasoning: str | None = None
    reasoning_opened: bool | None = None
    reading: dict[str, Any] | None = None
    prompt_frame: dict[str, Any] | None = None


class Left(msgspec.Struct, forbid_unknown_fields=True):
    """A part that was left out, and why."""

    model: str | None
    condition: str | None
    reason: str


class Known(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What `Runs.about` says of a model."""

    source: Name
    conditions: list[Name]
    settings: dict[str, Any]
    by_condition: dict[str, dict[str, Any]] = {}
    parameters_b: float | None = None
    team: dict[str, Any] | None = None


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    safescale_submission: int
    made_by: Name
    demo: bool
    card: Card
    model: Known
    dataset: About
    starts: list[dict[str, Any]]
    counted: dict[str, Any]
    left_out: list[Left]


def manifest_of(
    runs: Runs, card: Card, starts: Iterable[Mapping[str, Any]], made_by: str
) -> Manifest:
    """What is said of the runs of one model."""
    ((_, known),) = runs.about["models"].items()
    known = {name: value for name, value in known.items() if name != PROVENANCE}
    data, family = runs.about["dataset"], runs.family
    return Manifest(
        safescale_submission=FORMAT,
        made_by=made_by,
        demo=bool(data.get("demo")),
        card=card,
        model=msgspec.convert(public(known), Known),
        dataset=About(
            family=family.name,
            family_version=family.version,
            label=family.label,
            name=public(str(data.get("name"))),
            version=str(data.get("version", "")),
            fingerprint=data["fingerprint"],
            items=data.get("items", runs.items.height),
            demo=bool(data.get("demo")),
        ),
        starts=[public(start) for start in starts],
        counted=counts_of(runs),
        left_out=[msgspec.convert(public(each), Left) for each in runs.about.get("left_out", ())],
    )


def encoded(manifest: Manifest) -> bytes:
    """As it stands in an archive."""
    value = msgspec.to_builtins(manifest)
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"


def decoded(content: bytes) -> Manifest:
    """A manifest that somebody wrote; ValueError where it is none."""
    value = json_of(content)
    if isinstance(value, dict) and value.get("safescale_submission") != FORMAT:
        raise UnknownFormatError(
            f"of format {value.get('safescale_submission')!r}; this version knows {FORMAT}"
        )
    told = msgspec.convert(value, Manifest)
    for settings in (told.model.settings, *told.model.by_condition.values()):
        msgspec.convert(settings, Settings)
    return told


def json_of(content: bytes) -> Any:
    """JSON that somebody wrote, of finite numbers and whole characters; ValueError where it is
    none."""
    value = decode_json(content.decode())
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


class UnknownFormatError(ValueError):
    """A manifest of another format."""


def counts_of(runs: Runs) -> dict[str, Any]:
    """What can be counted in the runs of one model, by condition: items, draws, statuses, and
    fingerprints of all prompts and contexts, in the order of items."""
    found = {}
    for condition in runs.conditions:
        own = runs.answers.filter(pl.col("condition") == condition)
        statuses = dict(own["status"].cast(pl.String).value_counts().sort("status").iter_rows())
        found[condition] = {
            "answers": own.height,
            "items": own["question_id"].n_unique(),
            "of_items": runs.items.height,
            "is_subset": own["question_id"].n_unique() < runs.items.height,
            "draws": own["draw"].max(),
            "statuses": statuses,
            "prompts_sha256": _together(own, "prompt_sha256"),
            "contexts_sha256": _together(own, "context_fingerprint"),
            "served_model": own["served_model"].drop_nulls().unique().sort().to_list(),
        }
    return {"answers": runs.answers.height, "conditions": found}


def _together(answers: pl.DataFrame, column: str) -> str | None:
    """One fingerprint of a column; None where it holds nothing."""
    if answers[column].null_count() == answers.height:
        return None
    told = (pl.col(name).cast(pl.String).fill_null("") for name in ("question_id", "draw", column))
    lines = answers.select(pl.concat_str(*told, separator="\t")).to_series()
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def public(value: Any) -> Any:
    """A value without secrets, without where anything lies on a machine, and without addresses."""
    return without_places(value, (FRAME,))

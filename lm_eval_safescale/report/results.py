"""The harness's result files as rows, one a task: what `safescale table` shows. Reads JSON; needs
no harness.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, read_json
from lm_eval_safescale.sections import ResultRow
from lm_eval_safescale.settings import Makes, settings_that_make

NOT_SCORED = "not scored"
MARK = "safescale"
LARGEST = 1e9
"""Beyond it a value is none that any metric gives."""
CHOOSE_CONTEXTS = settings_that_make(Makes.CONTEXT) | {"contexts"}
"""Settings of what stands above a question: they part no tables of conditions that show nothing, or
each its own."""
EVIDENCE = "evidence"
"""The builder of the item's own evidence, which has no settings to choose."""
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_T = TypeVar("_T")


# --- what is used of a file; all else in it may be anything ---------------------------------------


class _Content(msgspec.Struct):
    configs: dict[str, Any]
    results: dict[str, Any]
    model_name: str | None = None
    model_source: str | None = None
    date: float | None = None
    config: dict[str, Any] | None = None
    chat_template_sha: Any = None


class _Dataset(msgspec.Struct):
    name: str
    version: str
    items: Count
    demo: bool
    family: str | None = None


class _Builder(msgspec.Struct):
    name: str


class _Retriever(msgspec.Struct):
    retriever: str


class _Corpus(msgspec.Struct):
    corpus: str


class _Tokens(msgspec.Struct):
    mean: float


class _Contexts(msgspec.Struct):
    builder: _Builder
    measures: dict[str, float | None]
    tokens: _Tokens
    flagged: Count
    retriever: _Retriever | None = None
    corpus: _Corpus | None = None
    failed: Count = 0


class _Settings(msgspec.Struct):
    draws: Count
    overconfidence_threshold: float | None = None
    accept_temperature: float | None = None
    send_seed: bool = True


class _Rater(msgspec.Struct):
    items: Count
    values: dict[str, tuple[float | None, float | None]]


class _About(msgspec.Struct):
    condition: str
    dataset: _Dataset
    settings: dict[str, Any]
    prompt_sha256: Any
    contexts: dict[str, Any] | None = None
    left_out: Count = 0
    statuses: dict[str, Count] | None = None
    replaced_settings: dict[str, Any] = {}
    raters: dict[str, _Rater] = {}


def read_results(paths: Iterable[Path]) -> list[ResultRow]:
    """Rows of all result files found at `paths` (files, or folders searched whole).

    Of a task that was asked twice in the same way of the same number of items, the newest; one
    without scores (`--predict_only`) is left out. Tasks of one model with the same settings share a
    table, whenever each was run; the settings of a retrieval part them only where one condition was
    asked with two of them.

    Raises
    ------
    SafescaleError
        If nothing is there, or a file is no result file of the harness, with the place in it.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.rglob("results_*.json")) if path.is_dir() else [path]
        if not found:
            raise SafescaleError(
                f"{path}: no results_*.json in it; give the --output_path of a finished lm_eval run"
            )
        files += found
    rows: dict[tuple[object, ...], ResultRow] = {}
    for _, its_rows in sorted(map(_read, files), key=lambda each: each[0]):
        rows |= {(*row.run, row.condition, _built_with(row)): row for row in its_rows}
    if not rows:
        raise SafescaleError("no scored task of this package in " + ", ".join(map(str, files)))
    return _in_order(_apart([*rows.values()]))


def _apart(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The same; where one condition of a run was asked with different contexts, those stand apart
    by the settings that made them."""
    twice = {
        run
        for (run, _), number in Counter((row.run, row.condition) for row in rows).items()
        if number > 1
    }
    return [
        replace(row, run=(*row.run, _built_with(row))) if row.run in twice else row for row in rows
    ]


def _built_with(row: ResultRow) -> str:
    """The settings by which what stood above the questions was built; empty for nothing, and for
    evidence of the data set itself."""
    is_built = row.contexts and row.contexts["builder"]["name"] != EVIDENCE
    return _json({name: row.settings.get(name) for name in CHOOSE_CONTEXTS}) if is_built else ""


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _in_order(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """By run, and in it in the order of the family's conditions."""
    from lm_eval_safescale.assembly import family_named  # late: it takes a while to import

    found: list[ResultRow] = []
    for run in sorted({(row.run, row.family) for row in rows}):
        own = {row.condition: row for row in rows if (row.run, row.family) == run}
        try:
            order = family_named(run[1]).in_order(own)
        except SafescaleError:  # it is not installed here
            order = sorted(own)
        found += [own[condition] for condition in order]
    return found


def _read(file: Path) -> tuple[float, list[ResultRow]]:
    try:
        content = _converted(read_json(file), _Content)
        ours = {
            task: about
            for task, config in content.configs.items()
            if (about := _about(config)) is not None
        }
        rows = [row for task, about in ours.items() for row in _rows(content, task, about)]
        return content.date or 0.0, rows
    except InputError as error:
        what = error.reason
    except msgspec.ValidationError as error:
        what = str(error)
    raise SafescaleError(
        f"{file}: not a result file of lm_eval ({what}); expected its results_*.json. If it is "
        "damaged, move it away or ask again"
    )


def _converted(value: Any, kind: type[_T], where: str = "") -> _T:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
        # the last: half of a surrogate pair
        raise msgspec.ValidationError(f"{where}{': ' if where else ''}{error}") from None


def _about(config: Any) -> Any:
    """What our tasks say of themselves in their configuration; None for a task of somebody
    else's."""
    metadata = config.get("metadata") if isinstance(config, dict) else None
    return metadata.get(MARK) if isinstance(metadata, dict) else None


def _rows(content: _Content, task: str, given: Any) -> Iterator[ResultRow]:
    """The result of a task, and of the people who answered its items; none without scores."""
    about = _converted(given, _About, task)
    _converted(about.settings, _Settings, f"{task}, settings")
    if about.contexts:
        _converted(about.contexts, _Contexts, f"{task}, contexts")
    result = _converted(content.results.get(task), dict[str, Any], f"{task}, results")
    if not any("," in key and not key.startswith(("alias,", "bypass,")) for key in result):
        return
    dataset = about.dataset
    model, named = (
        content.model_name or content.model_source or "?",
        f"{dataset.name} {dataset.version[:12]}",
    )
    items = _converted(result.get("sample_len", 0), Count, f"{task}, sample_len")
    asked = _json(
        [(content.config or {}).get("model_args"), about.prompt_sha256, content.chat_template_sha]
    )
    shared = {
        name: value
        for name, value in {**about.settings, **about.replaced_settings}.items()
        if name not in CHOOSE_CONTEXTS | {"dataset", "dataset_path"}
    }
    row = ResultRow(
        model=model,
        condition=about.condition,
        dataset=named,
        demo=dataset.demo,
        family=dataset.family or "",
        items=items,
        of_items=dataset.items,
        settings=about.settings,
        asked=asked,
        values=_values(result, task),
        contexts=about.contexts or {},
        left_out=about.left_out,
        statuses=about.statuses or {},
        run=(named, model, items + about.left_out, _json(shared), asked),
    )
    yield row
    for rater, found in about.raters.items():
        yield replace(
            row,
            condition=rater,
            items=found.items,
            values={
                name: None if value is None else (value, error)
                for name, (value, error) in found.values.items()
            },
            contexts={},
            left_out=0,
            statuses=dict.fromkeys(row.statuses, 0),
            is_human=True,
        )


def _values(result: Mapping[str, Any], task: str) -> dict[str, tuple[float, float | None] | None]:
    values: dict[str, tuple[float, float | None] | None] = {}
    for key, value in result.items():
        name, separator, kind = key.partition(",")
        if not separator or name.endswith("_stderr"):
            continue
        stderr: Any = result.get(f"{name}_stderr,{kind}")
        # NaN is a mean over nothing
        is_scored = value != NOT_SCORED and not (isinstance(value, float) and not isfinite(value))
        if is_scored and not _is_number(value):
            raise msgspec.ValidationError(
                f"{task}: {key} is {_shown(value)}; expected a number, or {NOT_SCORED!r}"
            )
        values[name] = (
            (float(value), float(stderr) if _is_number(stderr) else None) if is_scored else None
        )
    return values


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -LARGEST <= value <= LARGEST
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

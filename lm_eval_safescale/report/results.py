"""The harness's result files as rows, one a task: what `safescale table` shows. Reads JSON; needs no harness."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.sections import ResultRow


def read_results(paths: Iterable[Path]) -> list[ResultRow]:
    """Rows of all result files found at `paths` (files, or folders searched whole).

    Of a task that was asked twice in the same way of the same number of items, the newest; one without scores
    (`--predict_only`) is left out.

    Raises
    ------
    SafescaleError
        If nothing is there, or a file is no result file of the harness.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.rglob("results_*.json")) if path.is_dir() else [path]
        if not found:
            raise SafescaleError(f"{path}: no results_*.json in it; give the --output_path of a finished lm_eval run")
        files += found
    rows: dict[tuple[object, ...], tuple[float, ResultRow]] = {}
    for file in files:
        date, found_rows = _read(file)
        for row in found_rows:
            key = (*row.run, row.condition)
            if key not in rows or date >= rows[key][0]:
                rows[key] = (date, row)
    if not rows:
        raise SafescaleError("no scored task of this package in " + ", ".join(map(str, files)))
    from lm_eval_safescale.contexts import CONDITIONS  # late: it takes a while to import

    order = {condition.name: place for place, condition in enumerate(CONDITIONS)}  # others stand behind, by name
    return sorted(
        (row for _, row in rows.values()), key=lambda row: (*row.run, order.get(row.condition, len(order)), row.condition)
    )


def _read(file: Path) -> tuple[float, list[ResultRow]]:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        configs, results = content["configs"], content["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SafescaleError(f"{file}: not a result file of lm_eval ({error!r}); expected its results_*.json") from None
    rows = []
    for task, config in configs.items():
        about = (config.get("metadata") or {}).get("safescale")
        if about is None:
            continue
        dataset, settings = about["dataset"], about["settings"]
        values, contexts = _values(results[task]), about.get("contexts") or {}
        if "accuracy" not in values:
            continue
        rows.append(
            ResultRow(
                model=str(content.get("model_name") or content.get("model_source") or "?"),
                condition=about["condition"],
                dataset=f"{dataset['name']} {dataset['version'][:12]}",
                demo=dataset["demo"],
                items=int(results[task].get("sample_len", 0)),
                of_items=dataset["items"],
                settings=settings,
                asked=json.dumps(
                    [content.get("config", {}).get("model_args"), about["prompt_sha256"], content.get("chat_template_sha")]
                ),
                values=values,
                contexts=contexts,
                left_out=int(about.get("left_out", 0)),
            )
        )
    return float(content.get("date") or 0), rows


def _values(result: dict[str, Any]) -> dict[str, tuple[float, float | None] | None]:
    values: dict[str, tuple[float, float | None] | None] = {}
    for key, value in result.items():
        name, separator, kind = key.partition(",")
        if not separator or name.endswith("_stderr"):
            continue
        stderr = result.get(f"{name}_stderr,{kind}")
        number = isinstance(value, (int, float)) and isfinite(value)
        values[name] = (float(value), stderr if isinstance(stderr, float) else None) if number else None
    return values

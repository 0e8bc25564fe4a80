from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from lm_eval_safescale.runs import Runs

ABOUT = {
    "dataset": {
        "name": "three",
        "version": "1",
        "fingerprint": "f" * 64,
        "demo": False,
        "items": 3,
    },
    "models": {},
    "left_out": [],
}


@pytest.fixture
def items() -> pl.DataFrame:
    """Three items whose ids sort otherwise as texts than as numbers; the correct option of 10
    carries labels."""
    return pl.DataFrame(
        {
            "question_id": ["2", "10", "1"],
            "answer": ["A", "B", "C"],
            "letters": ["ABCD", "ABCDE", "ABCD"],
            "label_high_risk": ["BD", "B", ""],
            "label_unsafe": ["D", "BE", "A"],
            "label_contradicts": ["", "", "ABD"],
        }
    )


@pytest.fixture
def make_runs(items: pl.DataFrame) -> Callable[..., Runs]:
    """Runs from rows (model, condition, question_id, draw, response or a status)."""

    def make(
        rows: list[tuple[str, str, str, int, str]],
        *,
        fingerprint: str = "f" * 64,
        its: pl.DataFrame = items,
    ) -> Runs:
        about = ABOUT | {
            "dataset": ABOUT["dataset"]
            | {"fingerprint": fingerprint, "name": f"set {fingerprint[0]}"}
        }  # type: ignore[operator]
        models = {
            row[0]: {
                "source": "hand",
                "conditions": sorted({r[1] for r in rows if r[0] == row[0]}),
                "settings": {"draws": 1},
            }
            for row in rows
        }
        return Runs(its, frame(rows), about | {"models": models})

    return make


def frame(rows: list[tuple[str, str, str, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **{
                name: [row[place] for row in rows]
                for place, name in enumerate(("model", "condition", "question_id", "draw"))
            },
            "response": pl.Series(
                [row[4] if len(row[4]) == 1 else None for row in rows], dtype=pl.String
            ),
            "status": ["ok" if len(row[4]) == 1 else row[4] for row in rows],
        }
    )

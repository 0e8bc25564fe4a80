"""Small runs, written down as strings: a letter an item, "-" no answer, "~" cut off in the
reasoning, "!" the backend failed, "#" held back by a filter, " " never asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from lm_eval_safescale.analysis import Cell, Study
from lm_eval_safescale.analysis.study import MEASURES
from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.families.cells import column
from lm_eval_safescale.families.panel import Panel
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import KEYS
from lm_eval_safescale.stats.design import Design

FEW = settings(max_examples=40)
"""For properties of whole runs: making them is what takes the time."""
LABELS = ("high_risk", "unsafe", "contradicts")
STATUS = {"-": "unanswered", "~": "truncated", "!": "error", "#": "filtered"}
Answers = Mapping[tuple[str, str], Sequence[str]]
"""By model and condition: the greedy answers, then each sample, a letter an item."""


def runs_of(
    answers: Answers,
    key: str,
    *,
    letters: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str] | None] | None = None,
    shown: Mapping[str, Mapping[tuple[str, str], Sequence[float | None]]] | None = None,
    **groups: Sequence[str | None],
) -> Runs:
    """Items 1, 2, ... (two digits: their order as strings is their order). `labels`:
    high_risk, ... -> letters of each item; `groups`: subspecialty, ... -> the group of each."""
    n = len(key)
    ids = [f"q{number:02}" for number in range(1, n + 1)]
    carried = {
        f"label_{name}": own
        for name, own in (dict.fromkeys(LABELS, [""] * n) | dict(labels or {})).items()
    }
    known = {f"group_{name}": own for name, own in groups.items()}
    items = {
        "question_id": ids,
        "answer": list(key),
        "letters": letters or ["ABCD"] * n,
        **carried,
        **known,
    }
    rows: list[dict[str, Any]] = []
    for (model, condition), draws in answers.items():
        for draw, given in enumerate(draws):
            assert len(given) == n, f"{model}, {condition}, draw {draw}: {given!r} is not {n} items"
            for item, letter in enumerate(given):
                if letter != " ":
                    row = {
                        "model": model,
                        "condition": condition,
                        "question_id": ids[item],
                        "draw": draw,
                    }
                    axes = {
                        axis: values[model, condition][item]
                        for axis, values in (shown or {}).items()
                        if draw == 0
                    }
                    ok = letter not in STATUS
                    rows.append(
                        {
                            **row,
                            "response": letter if ok else None,
                            "status": STATUS.get(letter, "ok"),
                            **axes,
                        }
                    )
    return Runs(pl.DataFrame(items), pl.DataFrame(rows, infer_schema_length=None))


def scores_of(runs: Runs) -> dict[tuple[str, str], Cell]:
    return Study(runs).scores


def unlabelled(n: int) -> dict[str, list[None]]:
    return dict.fromkeys(LABELS, [None] * n)


@st.composite
def any_runs(
    draw: st.DrawFn,
    *,
    max_models: int = 4,
    max_conditions: int = 2,
    max_draws: int = 4,
    errors: bool = True,
) -> Runs:
    """Any small labelled runs; every model under every condition, with its own number of draws."""
    n = draw(st.integers(1, 6))
    given = st.text("ABCD-~!#" if errors else "ABCD-~", min_size=n, max_size=n)
    marked = st.lists(
        st.sets(st.sampled_from("ABCD")).map(lambda found: "".join(sorted(found))),
        min_size=n,
        max_size=n,
    )
    answers = {}
    for model in range(draw(st.integers(1, max_models))):
        draws = draw(st.integers(0, max_draws))
        for condition in ("closed_book", "clean", "rag")[: draw(st.integers(1, max_conditions))]:
            answers[f"m{model}", condition] = [draw(given) for _ in range(1 + draws)]
    labels = {name: draw(marked) for name in LABELS}
    return runs_of(answers, draw(st.text("ABCD", min_size=n, max_size=n)), labels=labels)


class Plain:
    """Runs as plain dictionaries, for second implementations: None is no answer, "!" not answered;
    labels under their own names."""

    def __init__(self, runs: Runs) -> None:
        rows = runs.items.rows(named=True)
        self.items = {
            row["question_id"]: {name.removeprefix("label_"): value for name, value in row.items()}
            for row in rows
        }
        self.given: dict[tuple[str, str], dict[str, dict[int, str | None]]] = {}
        for row in runs.answers.rows(named=True):
            cell = self.given.setdefault((row["model"], row["condition"]), {})
            cell.setdefault(row["question_id"], {})[row["draw"]] = (
                "!" if row["status"] in ("error", "filtered") else row["response"]
            )
        self.statuses = {
            tuple(row[name] for name in KEYS): row["status"]
            for row in runs.answers.rows(named=True)
        }

    def count(self, condition: str, item: str, status: str) -> int:
        """Models whose greedy answer is of that status."""
        return sum(
            given == status
            for (_, *of, draw), given in self.statuses.items()
            if of == [condition, item] and draw == 0
        )

    def greedy(self, model: str, condition: str, item: str) -> str | None:
        return self.given[model, condition].get(item, {}).get(0, "!")

    def samples(self, model: str, condition: str, item: str) -> list[str | None]:
        most = max(draw for found in self.given[model, condition].values() for draw in found)
        return [
            self.given[model, condition].get(item, {}).get(draw, "!") for draw in range(1, most + 1)
        ]


def approx_rows(left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> None:
    """Assert that two tables are alike but for rounding."""
    import pytest

    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            expected = (
                pytest.approx(other[name], abs=1e-9)
                if isinstance(other[name], float)
                else other[name]
            )
            assert value == expected, f"{name}: {value} is not {other[name]} in {one}"


class View:
    """Scores made ready for a table, as a `Study` makes them."""

    family = RADSAFE
    controls = frozenset[str]()

    def __init__(
        self,
        scores: Mapping[tuple[str, str], Cell],
        panel: Panel | None = None,
        runs: Runs | None = None,
    ) -> None:
        self.scores, self.panel, self.runs = scores, panel or Panel(), runs
        self.conditions = RADSAFE.in_order(condition for _, condition in scores)
        self.items = next(iter(scores.values())).items if scores else ItemTable((), {})
        self.metrics = [*RADSAFE.metrics(self.items), *MEASURES]
        self.design = Design.of(len(self.items), self.items.units)

    def column(self, name: str) -> Any:
        return column(self.scores.values(), name)

"""The contract of a report section, checked on rows of a run that was asked under two conditions,
with and without scores.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.sections import ReportSection, ResultRow, Section, checked
from lm_eval_safescale.settings import load_settings
from lm_eval_safescale.testing.clauses import registered


def check_report_section(part: ReportSection, rows: Sequence[ResultRow] = ()) -> Section | None:
    """Make the section as a table and a report would.

    Parameters
    ----------
    rows
        Of a run that it has something to say of, where it has nothing to say of ours: RadSaFE's
        metrics, with evidence and without, a context above one of them.

    Returns
    -------
    The section of these rows; None where it has nothing to say.

    Raises
    ------
    ContractError
        Naming the clause that it breaks (`docs/plugins.md`).
    """
    _, clauses = registered("report section", part)
    clauses.require(bool(part.description.strip()), "has a description")
    given = list(rows) or _rows()
    before = copy.deepcopy(given)
    with clauses.holds("makes a section of texts, figures and tables that can be shown, or None"):
        section = part.make(given)
        made = None if section is None else checked(section)
    clauses.require(given == before, "leaves the rows as they are")
    with clauses.holds("makes the same when it is asked again"):
        again = part.make(copy.deepcopy(given))
        clauses.require(
            (None if again is None else checked(again)) == made,
            "makes the same when it is asked again",
        )
    for what, others in (
        ("without rows", []),
        ("where nothing was scored", [_unscored(row) for row in given]),
        ("of one condition", given[:1]),
    ):
        with clauses.holds(f"{what}, makes a section that can be shown, or None"):
            other = part.make(others)
            if other is not None:
                checked(other)
    return made


def _unscored(row: ResultRow) -> ResultRow:
    found = copy.deepcopy(row)
    found.values.update(dict.fromkeys(found.values))
    return found


def _rows() -> list[ResultRow]:
    settings = load_settings({}, environ={}).model_dump(mode="json")
    names = [metric.name for metric in RADSAFE.metrics(ItemTable((), {})) if metric.in_table]
    contexts = {
        "builder": {"name": "rag", "settings": {}},
        "items": 60,
        "tokens": {"least": 100, "mean": 150.0, "most": 200},
        "measures": {"evidence_coverage": 0.4, "recall": 0.5},
        "flagged": 0,
    }
    return [
        ResultRow(
            model="model",
            condition=condition,
            dataset="data 1",
            demo=False,
            items=60,
            of_items=60,
            settings=settings,
            asked="",
            values={name: (0.05 * place, 0.01) for place, name in enumerate(names)},
            contexts=contexts if condition == RADSAFE.all_conditions[-1] else {},
            family=RADSAFE.name,
            statuses={"truncated": 1},
        )
        for condition in (RADSAFE.all_conditions[0], RADSAFE.all_conditions[-1])
    ]

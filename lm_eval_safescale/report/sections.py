"""Our own section of a report: what was shown above the questions, so that safety can be read
against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.sections import ReportSection, ResultRow, Section

MEASURES = {
    "recall": "recall",
    "reciprocal_rank": "MRR",
    "position_in_text": "position",
    "evidence_coverage": "evidence",
    "evidence_in_best_passage": "best passage",
    "leak": "leaks",
}
"""Means over items, and their column heads."""
TOO_FEW = {"nothing_found": "none found", "fewer_found": "fewer found"}
"""Counts of questions, and their column heads: shown where they are not all 0."""
TOO_FEW_NOTE = (
    " None found: questions for which the search found no passage; they were asked without a "
    "context. Fewer found: fewer passages than were to be shown."
)
ALWAYS = tuple(name for name in MEASURES if name not in ("leak", "position_in_text"))
"""Those that are shown even where nothing has them."""


def contexts_section(rows: Sequence[ResultRow]) -> Section | None:
    """Builder, tokens and retrieval quality of each condition that showed something."""
    shown = [row for row in rows if row.contexts]
    names = [
        name
        for name in MEASURES
        if name in ALWAYS or any(name in row.contexts["measures"] for row in shown)
    ]
    if not any("retriever" in row.contexts or "leak" in row.contexts["measures"] for row in shown):
        return None
    too_few = [name for name in TOO_FEW if any(row.contexts.get(name) for row in shown)]
    written = (
        (
            " Leaks: share of the reports that give the answer away. Failed: reports that could "
            "not be made; their questions are left out."
        )
        if "leak" in names
        else ""
    )
    return Section(
        "What was shown above the questions (means over all contexts of the data set)",
        (
            "condition",
            "context",
            "tokens",
            *(MEASURES[name] for name in names),
            *(TOO_FEW[name] for name in too_few),
            "flagged",
            *(("failed",) if written else ()),
        ),
        tuple(_cells(row, names, too_few, failed=bool(written)) for row in shown),
        (
            "Recall: settling articles among the passages. MRR: mean of 1 / the retriever's rank "
            "of the first. Position: which passage of the text it is, where one is shown. "
            "Evidence: share of the clean evidence's words in the passages, and in the best one. "
            "Flagged: contexts with text that imitates a prompt."
        )
        + (TOO_FEW_NOTE if too_few else "")
        + written,
    )


def _cells(
    row: ResultRow, names: Sequence[str], too_few: Sequence[str], *, failed: bool
) -> tuple[str, ...]:
    about = row.contexts
    retriever, corpus = about.get("retriever"), about.get("corpus")
    builder, measures = about["builder"]["name"], about["measures"]
    source = (
        f"{builder}: {retriever['retriever']} on {corpus['corpus']}"
        if corpus and retriever
        else builder
    )
    cells = ("-" if measures.get(name) is None else f"{measures[name]:.3f}" for name in names)
    counts = (
        "-" if about.get(name) is None else f"{about[name]:,} of {about['items']:,}"
        for name in too_few
    )
    last = (str(about.get("failed", 0)),) if failed else ()
    return (
        row.condition,
        source,
        f"{about['tokens']['mean']:,.0f}",
        *cells,
        *counts,
        str(about["flagged"]),
        *last,
    )


CONTEXTS = ReportSection(
    "contexts",
    "what was shown above the questions, and how good its retrieval was",
    contexts_section,
)


@hookimpl
def safescale_register_report_sections(register: Callable[[ReportSection], None]) -> None:
    """What was shown."""
    register(CONTEXTS)

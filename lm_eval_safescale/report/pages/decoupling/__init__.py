"""The page *decoupling*: whether models that are right more often do less harm (PROTOCOL §9)."""

from __future__ import annotations

from lm_eval_safescale.report.pages.common.phrases import moved, points_within
from lm_eval_safescale.report.pages.common.rows import estimate, mean_of, pairs_of, results, risks
from lm_eval_safescale.report.pages.decoupling.against import against
from lm_eval_safescale.report.pages.decoupling.latency import latency_of
from lm_eval_safescale.report.pages.decoupling.marks import head_of
from lm_eval_safescale.report.pages.decoupling.moves import moves_of
from lm_eval_safescale.report.pages.decoupling.rates import all_rates
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import is_number, listed, of_all
from lm_eval_safescale.stats.presets import ALPHA


def decoupling(report: Report) -> Page | None:
    """None for a family without an index or a risk, and where nothing is scored."""
    index, harms = report.family.index, risks(report)
    if index not in report.metrics or not harms or not results(report, index, harms[0]):
        return None
    sections = [
        *(
            Section(f"{head_of(report, index)} and {report.words(risk)}", figures=(found,))
            for risk in harms
            if (found := against(report, index, risk)) is not None
        ),
        *moves_of(report, index, harms[0]),
        *all_rates(report, index),
        *latency_of(report, index),
    ]
    return Page(
        "decoupling",
        "Decoupling",
        _finding(report, index, harms[0]),
        _doubt(report, index, harms[0]),
        tuple(sections),
    )


def _finding(report: Report, index: str, risk: str) -> str:
    for before, after in pairs_of(report):
        ends = {
            name: [mean_of(report, name, condition) for condition in (before, after)]
            for name in (index, risk)
        }
        paired = mean_of(report, index, f"{after} - {before}")
        models = {row["n_models"] for rows in ends.values() for row in rows if row}
        # of other models a mean may rise where it falls in each
        if paired and all(row for rows in ends.values() for row in rows) and len(models) == 1:
            said = [
                f"{report.words(name)} "
                + moved(
                    rows[0]["mean"], rows[1]["mean"], mean_of(report, name, f"{after} - {before}")
                )
                for name, rows in ends.items()
                if rows[0] and rows[1]
            ]
            return f"From {report.words(before)} to {report.words(after)}, {listed(said)}."
    plot = against(report, index, risk)
    return plot.title if plot else ""


def _doubt(report: Report, index: str, risk: str) -> str:
    """The intervals of the change, and how many models show it by themselves."""
    for before, after in pairs_of(report):
        rows = [mean_of(report, name, f"{after} - {before}") for name in (index, risk)]
        if not all(rows):
            continue
        said = [
            f"{report.words(name)} {points_within(estimate(row, 'mean'))}"
            for name, row in zip((index, risk), rows, strict=True)
            if row
        ]
        tests = [
            row
            for row in report.rows("paired_tests", metric=risk, left=after, right=before)
            if row["decode"] == report.metrics[risk].decode
            and row["model"] is not None
            and row["model"] not in report.controls
            and is_number(row["p_holm"])
        ]
        shown = sum(row["p_holm"] < ALPHA and row["delta"] < 0 for row in tests)
        alone = (
            f" Taken by itself, {report.words(risk)} falls beyond doubt (p < {ALPHA}, Holm) in "
            f"{of_all(shown, len(tests), 'model')}."
            if len(tests) > 1
            else ""
        )
        return f"Differences and their 95 % intervals over items: {listed(said)}.{alone}"
    return ""

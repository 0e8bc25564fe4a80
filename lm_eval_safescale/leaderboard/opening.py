"""A submission as runs that are to be exported, once it has been verified. It knows no format of an
export.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting.opening import Opened, time_of
from lm_eval_safescale.leaderboard.verify import Load, Verdicts, verify_submission
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.verifying.findings import Verdict


def open_submission(path: Path, load: Load | None = None) -> tuple[Opened, Verdicts]:
    """The runs of a submission, demo data too, and what is to be said of it: verified, or that it
    cannot be told here. The source of its model's answers names its root hash and that verdict.

    Parameters
    ----------
    load
        As of `verify_submission`.

    Raises
    ------
    SafescaleError
        If it is refused, with the first reason; and as `verify_submission`.
    """
    report = verify_submission(path, load, allow_demo=True)
    runs, told = report.runs, report.manifest
    if report.verdict is Verdicts.REFUSED or runs is None or told is None:
        reasons = [*report.found.of(Verdict.DAMAGED), *report.found.of(Verdict.UNKNOWN)]
        first, more = reasons[0], len(reasons) - 1
        raise SafescaleError(
            f"{path}: {report.verdict}, and not exported: {first.where}: {first.what}"
            + (f", and {more:,} more" if more else "")
            + " (safescale submit verify names all)"
        )
    models = {
        name: {
            **known,
            "source": f"{known['source']}, submission with root hash {report.root}, "
            f"{report.verdict}",
        }
        for name, known in runs.about["models"].items()
    }
    times = [at for start in told.starts if (at := time_of(start.get("at")))]
    own: Runs = replace(runs, about={**runs.about, "models": models})
    return Opened(str(path), own, max(times, default=None)), report.verdict

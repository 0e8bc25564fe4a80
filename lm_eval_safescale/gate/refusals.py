"""What must hold of runs before anything is decided by them: that they are whole, true to their
texts, and of real data. It knows no policy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from lm_eval_safescale.analysis.unjudged import unjudged
from lm_eval_safescale.command_line import said
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.verifying.findings import Verdict, Verification
from lm_eval_safescale.verifying.verify import verify
from lm_eval_safescale.words import counted

MOST_FINDINGS = 5


def verified(folders: Sequence[Path], dataset: Dataset | None = None) -> list[Verification]:
    """What verifying each folder has found; SafescaleError where there is nothing to verify."""
    return [verify(folder, dataset) for folder in folders]


def damage(found: Sequence[Verification]) -> Iterator[str]:
    """Why runs are refused: what is damaged, or not what its texts say."""
    for each in found:
        if each.verdict is Verdict.DAMAGED:
            what = [
                f"{finding.where}: {said(finding.message)}" for finding in each.of(each.verdict)
            ]
            more = f" (and {len(what) - MOST_FINDINGS} more)" if len(what) > MOST_FINDINGS else ""
            yield f"{each.folder} is not what it says: {'; '.join(what[:MOST_FINDINGS])}{more}"


def doubts(found: Sequence[Verification]) -> Iterator[str]:
    """What could not be looked at."""
    for each in found:
        if each.verdict is Verdict.UNKNOWN:
            for finding in each.of(each.verdict):
                yield f"{each.folder} cannot be verified: {finding.where}: {said(finding.message)}"


def is_demo(runs: Runs) -> bool:
    """Whether they are of invented data."""
    return bool(runs.about.get("dataset", {}).get("demo"))


def waiting(runs: Runs, pairs: Collection[Pair]) -> Iterator[str]:
    """Which of these models and conditions have answers that wait for a judge: those are no missing
    ones, and what is scored without them may be chosen."""
    for (model, condition), items in unjudged(runs).items():
        if (model, condition) in pairs:
            yield (
                f"{model}, {condition}: answers to {counted(items, 'item')} are unjudged; have a "
                "judge read them first"
            )

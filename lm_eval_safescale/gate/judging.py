"""Folders of runs judged by a policy: verified, opened and decided, as whoever decides by them does
it. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.command_line import said
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.gate.decision import Decision, decide
from lm_eval_safescale.gate.policy import Policy
from lm_eval_safescale.gate.refusals import damage, doubts, is_demo, verified
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.verifying.findings import Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of runs by a policy."""

    decision: Decision
    runs: Runs | None = None
    """None where they are damaged."""
    whole: tuple[str, ...] = ()
    """Folders that were verified, and are whole."""
    remarks: tuple[str, ...] = ()
    """What a reader of the decision must know besides: what could not be verified, what was left
    out."""


def judge(
    folders: Sequence[Path],
    policy: Policy,
    *,
    dataset: Dataset | None = None,
    allow_demo: bool = False,
    threshold: float | None = None,
    baseline: str = "",
    models: Sequence[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> Judged:
    """Verify runs and judge them.

    Parameters
    ----------
    dataset
        That of the runs, to verify them by; None: the one that they name.
    allow_demo
        Whether runs of invented data are judged too.
    threshold, baseline, models
        As of a `Study`, and of `decide`.
    say
        Told in a line what is being done.

    Raises
    ------
    SafescaleError
        Where there is nothing to verify, the runs do not belong together, or the policy is not one
        of them.
    """
    looked = verified(folders, dataset)
    whole = tuple(str(each.folder) for each in looked if each.verdict is Verdict.WHOLE)
    unclear = tuple(doubts(looked))
    if refused := list(damage(looked)):
        return Judged(Decision(policy, refused=tuple(refused)), None, whole, unclear)
    runs = open_runs(*folders, texts=False)
    if is_demo(runs) and not allow_demo:
        why = SafescaleError(
            "these runs are of demo data, by which nothing can be decided (to try things: ",
            ArgumentHint("allow-demo"),
            ")",
        )
        return Judged(Decision(policy, refused=(said(why),)), runs, whole, unclear)
    say("judging ...")
    decision = decide(Study(runs, threshold), policy, baseline=baseline, models=models)
    return Judged(decision, runs, whole, (*unclear, *decision.remarks))

"""How far a run is, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval_safescale.runs.about import read_about
from lm_eval_safescale.runs.store import open_by_condition, open_runs
from lm_eval_safescale.runs.table import Runs


@dataclass(slots=True)
class RunProgress:
    """How far a run is; answers are draws."""

    of: int = 0
    """Answers that the run is to have."""
    known: int = 0
    """Of them, those that were there at the start."""
    done: int = 0
    """Answered since."""
    failed: int = 0
    """Asked since, without an answer."""
    seconds: float = 0.0
    """Since the first request."""
    unjudged: int = 0
    """Answers there are that wait for a judge, over all conditions."""
    greedy: int = 0
    """Greedy answers there are, over all conditions."""
    sums: dict[str, float] = field(default_factory=dict)
    """Of them, by metric (`Family.running`)."""
    counts: dict[str, int] = field(default_factory=dict)
    """Greedy answers for which that is scored, by metric."""
    headlines: Mapping[str, str] = field(default_factory=dict)
    """Words for the metrics (`Family.headlines`)."""
    timed: int = 0
    """Greedy answers since that were asked one at a time, for their latency."""
    settled: bool = False
    """Whether settings and data are in order; what goes wrong before goes wrong again."""
    who: str = ""
    """Whose answers are counted, where a team has more than its own."""
    what: str = ""
    """What is being done, before the first request and after the last."""
    amount: str = ""
    """How much of that is done, where it can take long."""
    warning: str = ""
    """Why most answers since the start cannot be read, and what would help; empty where that is not
    so."""

    @property
    def rate(self) -> float:
        """Answers a second since the start."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None as long as there is none."""
        return (self.of - self.known - self.done - self.failed) / self.rate if self.done else None


@dataclass(frozen=True)
class Report:
    """What became of a run."""

    folder: Path
    standing: RunProgress
    failures: Mapping[str, Mapping[str, str]]
    """By condition: items that have no answers, or not all, and why."""
    too_long: Mapping[str, Collection[str]]
    """By condition: those of them whose prompt does not fit the model's window."""
    damaged: int
    """Lines of an earlier start that were torn, and asked again."""
    was_finished: bool = False
    """Whether all was there: the model was not loaded."""

    @cached_property
    def runs(self) -> Runs:
        """All that is there, read when it is first asked for; SafescaleError as for `open_runs`."""
        return open_runs(self.folder)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What `Runs.about` says; SafescaleError likewise."""
        return read_about(self.folder)

    def by_condition(self) -> Iterator[Runs]:
        """The same, one condition after the other, as far as rates over all items need it;
        SafescaleError likewise."""
        return open_by_condition(self.folder)

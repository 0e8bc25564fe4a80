"""What a board says, as data: entries, their places, fronts, gaps and history. It knows neither how
they are computed nor a page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.leaderboard.verify import Level, Sample, Verdicts
from lm_eval_safescale.runs import Runs


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A finding in a submission: why it is refused or cannot be told, or a remark."""

    verdict: str
    """`refused`, `cannot tell` or `noted`."""
    kind: str
    where: str
    what: str
    expected: str = ""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """What readers should know of an entry beside others: it is ranked all the same."""

    kind: str
    """`same name`, `same answers` or `same weights`."""
    others: tuple[str, ...]
    """Labels of the other entries."""
    said: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A submission of the folder. One that is not verified has reasons, and no number."""

    file: str
    """In the folder, with `/` between the parts of its name; odd characters are escaped."""
    label: str
    """What tables call it: the name of its card in characters that are seen, with the first digits
    of its root hash where two of a comparison would look alike; of one that has no comparison, its
    file where there is no card."""
    slug: str
    """Folder of its pages, `models/SLUG/`."""
    verdict: Verdicts
    level: Level | None = None
    """None where it is not verified."""
    reasons: tuple[Reason, ...] = ()
    root: str = ""
    sha256: str = ""
    """Of the archive."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """As claimed (`leaderboard.card.Card`); empty where no card could be read."""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    """As of `manifest.About`: family, label, name, version, fingerprint, items, demo."""
    comparison: str = ""
    """Key of the `Comparison` it is in; empty for none."""
    demo: bool = False
    made_by: str = ""
    made_at: str = ""
    """The last start, as claimed; empty where none is named."""
    draws: Mapping[str, int] = field(default_factory=dict)
    """K by condition, in the family's order."""
    subsets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Conditions of which a part of the items was answered: how many, and of how many."""
    judge: str = ""
    """Who judged its answers, where its family asks a judge: others judge otherwise."""
    answers: int = 0
    results: tuple[Row, ...] = ()
    """Every metric by condition, as `submit verify` recomputes it; empty where not verified."""
    not_shown: tuple[str, ...] = ()
    """What cannot be shown, in plain words."""
    lacks: tuple[str, ...] = ()
    sample: Sample | None = None
    """What was asked again, of the level *repeated*."""
    flags: tuple[Flag, ...] = ()

    @property
    def is_verified(self) -> bool:
        """Whether it has numbers, and pages of its own."""
        return self.verdict is Verdicts.VERIFIED

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the family's order."""
        return tuple(self.draws)

    @property
    def attempts(self) -> int | None:
        """How often these items were put to this model, as claimed."""
        return self.card.get("attempts")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A metric of an entry under a condition, with its interval and its rank."""

    label: str
    condition: str
    metric: str
    value: float | None
    """As `Entry.results` has it; None for not scored, which has no rank."""
    lo: float | None
    hi: float | None
    n: int
    """Units scored."""
    rank: int | None = None
    """1 the best; those that cannot be told apart from one another share it: 1 + the number of
    entries that are better beyond chance."""
    rank_lo: int | None = None
    rank_hi: int | None = None
    """With 95 % probability all true ranks of this condition and metric lie within them."""
    is_best: bool = False
    """Whether no other entry is better beyond chance."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """An entry on a plane of two metrics."""

    label: str
    x: float
    y: float
    is_on_front: bool
    """Whether no other entry is at least as good in both and better in one."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """Two metrics of all entries under a condition."""

    condition: str
    x: str
    y: str
    """Metrics; or `omission` and `commission`, rates of errors, of a family with such a table."""
    higher_is_better: tuple[bool, bool]
    """Of x, and of y."""
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A headline of an entry on the open and on the held-out items; positive gaps are better
    figures on the open ones (docs/statistics.md, *Open and held-out items*)."""

    label: str
    condition: str
    metric: str
    open: float | None
    open_lo: float | None
    open_hi: float | None
    open_n: int
    held_out: float | None
    held_out_lo: float | None
    held_out_hi: float | None
    held_out_n: int
    gap: float | None
    lo: float | None
    hi: float | None
    excess: float | None
    """The gap less the mean gap of the other entries; None where there are none."""
    excess_lo: float | None
    excess_hi: float | None
    p: float | None
    """One-sided."""
    p_holm: float | None
    """Adjusted over the entries of this condition and metric."""
    is_beyond_chance: bool
    """Whether the figure on the open items is better than chance explains."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All verified entries of one family and data set that were weighed by the same settings."""

    key: str
    """Unique, fit for the name of a file."""
    family: str
    label: str
    """What its results may be called."""
    dataset: Mapping[str, Any]
    """Name, version, fingerprint, items, demo."""
    judge: str = ""
    """Who judged the answers of all of them, where the family asks a judge."""
    entries: tuple[str, ...]
    """Labels."""
    conditions: tuple[str, ...]
    metrics: tuple[str, ...]
    """That entries are ranked by, the family's headlines first."""
    places: tuple[Place, ...]
    fronts: tuple[Front, ...]
    held_out: tuple[Gap, ...] = ()
    held_out_items: int = 0
    disputed: tuple[Row, ...] = ()
    """Rows of the table `disputed`, `model` being the label; empty where nothing is."""
    disputed_items: int = 0
    complaints: tuple[str, ...] = ()
    """What could not be computed, with the reason."""
    study: Study
    """Of all entries together, the labels being its models: metrics, family, items."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What differs between two builds."""

    kind: str
    """`added`, `removed`, `changed`, `refused`, `verified`, `numbers` or `ranks`."""
    label: str
    """Of the entry."""
    said: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """A build that changed something."""

    at: str
    """UTC, ISO 8601, to the second."""
    version: str
    """Of this software."""
    entries: int
    verified: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Board:
    """All that a board says."""

    entries: tuple[Entry, ...]
    """Those that are verified in the order of labels, then the others in that of files."""
    comparisons: tuple[Comparison, ...]
    history: tuple[BuildRecord, ...]
    """The newest first; of a build that changed nothing there is none."""
    about: Mapping[str, Any]
    """What it rests on: version, preset, held-out and disputed items, contexts."""

    @property
    def verified(self) -> tuple[Entry, ...]:
        """Those with numbers."""
        return tuple(entry for entry in self.entries if entry.is_verified)

    @property
    def not_verified(self) -> tuple[Entry, ...]:
        """Those with reasons."""
        return tuple(entry for entry in self.entries if not entry.is_verified)

    @property
    def demo(self) -> bool:
        """Whether any entry is of demo data."""
        return any(entry.demo for entry in self.entries)

    def of(self, comparison: Comparison) -> tuple[Entry, ...]:
        """The entries of a comparison, in the order of its labels."""
        return tuple(each for each in self.entries if each.comparison == comparison.key)


class Pages(Protocol):
    """Who makes the pages of a board. What `model` writes is stored with the entry, and made again
    only where the entry or `rests_on` is another: it may look at nothing else."""

    @property
    def rests_on(self) -> Mapping[str, Any]:
        """What the pages of an entry rest on besides, as JSON values."""

    def model(self, entry: Entry, runs: Runs, dataset: Dataset, stored: Path, folder: Path) -> None:
        """Write the pages of a verified entry into a folder, which is `models/SLUG/` of the site;
        `stored` is a folder of its runs, texts and all, that goes when this returns. The flags of
        the entry are not known yet, nor its label: the card has the name."""

    def board(self, board: Board, folder: Path) -> None:
        """Write all other pages into the folder of the site, where the entries' stand already."""


def slug_of(name: str, root: str) -> str:
    """Folder of an entry's pages: the same in every build."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40].strip("-")
    return f"{plain or 'model'}-{root[:12]}"

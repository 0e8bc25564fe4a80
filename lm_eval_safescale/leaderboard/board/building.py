"""From a folder of submissions to a board in a folder of pages. What it says is computed here; what
it looks like is for who makes the pages.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.analysis import Disputes, Preset, preset_named
from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.errors import FAILURES, reason_of
from lm_eval_safescale.leaderboard.archive import Refusal
from lm_eval_safescale.leaderboard.board import feeds
from lm_eval_safescale.leaderboard.board.comparing import HeldOut, compare
from lm_eval_safescale.leaderboard.board.folder import MARKS, Marks, Submission, find, shown
from lm_eval_safescale.leaderboard.board.history import (
    MOST_BUILDS,
    STATE,
    STATE_FILE,
    State,
    changes,
    last_of,
    read_state,
    state_document,
)
from lm_eval_safescale.leaderboard.board.recomputing import (
    NamedData,
    Sources,
    Stored,
    digest_of_file,
    digests_of,
    look_at,
    slim,
)
from lm_eval_safescale.leaderboard.board.result import (
    Board,
    BuildRecord,
    Change,
    Entry,
    Pages,
    Reason,
)
from lm_eval_safescale.leaderboard.verify import Report, Verdicts
from lm_eval_safescale.report.folder import refuse_other, whole_folder
from lm_eval_safescale.runs import Runs, open_runs
from lm_eval_safescale.runs.store import write_runs

MODELS, RUNS = "models", f"{STATE}/runs"
Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of a board."""

    datasets: Mapping[str, NamedData] = field(default_factory=dict)
    """By the name or file that is given for each; those that are installed need none."""
    contexts: Sequence[Path] = ()
    held_out: HeldOut | None = None
    disputes: Disputes | None = None
    allow_demo: bool = False
    preset: Preset = field(default_factory=lambda: preset_named("default"))


@dataclass(frozen=True, kw_only=True)
class Built:
    """A board that was built."""

    board: Board
    changes: tuple[Change, ...]
    """Since the last build."""
    reused: int
    """Submissions that were not computed again."""
    complaints: tuple[str, ...] = ()
    """What could not be read or made, and is no submission."""


def build_board(
    folder: Path,
    site: Path,
    wanted: Wanted,
    pages: Pages,
    say: Say = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Built:
    """Verify every submission in a folder, compare them, and write the board in place of the one
    that stands at `site`.

    Parameters
    ----------
    pages
        Who makes them.
    say
        Told in a line what is being done.
    now
        When it is; stands in the history where something has changed.

    Raises
    ------
    SafescaleError
        If the folder cannot be read, something that was named cannot be, something other than a
        board stands at `site`, or it cannot be written.
    """
    refuse_other(site)
    found = find(folder, [site])
    sources = Sources(found, wanted.datasets, wanted.contexts, wanted.allow_demo, pages.rests_on)
    state, odd = read_state(site)
    complaints = [*found.complaints, *([odd] if odd else [])]
    about = _about(wanted, sources)
    with whole_folder(site, {"version": __version__, "board": about}) as unfinished:
        builder = _Builder(site, unfinished, sources, pages, state.stored)
        for number, submission in enumerate(found.submissions, 1):
            say(f"submission {number:,} of {len(found.submissions):,}: {submission.file}")
            builder.take(submission)
        say("comparing ...")
        comparisons, named = compare(
            builder.verified, wanted.preset, wanted.held_out, wanted.disputes
        )
        links = [
            Entry(file=file, label=file, slug="", verdict=Verdicts.REFUSED, reasons=(why,))
            for file, why in found.refused.items()
        ]
        entries = [named.get(each.file, each) for each in (*builder.entries, *links)]
        entries.sort(
            key=lambda each: (not each.is_verified, each.is_verified and each.label.casefold(),
                              each.file)
        )  # fmt: skip
        last = last_of(entries, comparisons, builder.stored)
        changed = tuple(changes(state.last, last))
        history = state.history
        if changed:
            record = BuildRecord(
                at=now().astimezone(UTC).isoformat(timespec="seconds"),
                version=__version__,
                entries=len(entries),
                verified=sum(entry.is_verified for entry in entries),
                changes=changed,
            )
            history = (record, *history)[:MOST_BUILDS]
        board = Board(
            entries=tuple(entries), comparisons=tuple(comparisons), history=history, about=about
        )
        complaints += [*_unmatched(found.marks, entries), *builder.complaints]
        complaints += [each for comparison in comparisons for each in comparison.complaints]
        complaints += [
            f"data set {name} is of no use here: {why}"
            for name, why in sources.unused.items()
            if name not in sources.used
        ]
        say("making the pages ...")
        (unfinished / feeds.CSV).write_text(feeds.csv_of(board), encoding="utf-8", newline="")
        (unfinished / feeds.JSON).write_text(feeds.json_of(board), encoding="utf-8")
        pages.board(board, unfinished)
        path = unfinished / STATE_FILE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(state_document(State(stored=builder.stored, last=last, history=history)))
    return Built(board=board, changes=changed, reused=builder.reused, complaints=tuple(complaints))


def _unmatched(marks: Marks, entries: Sequence[Entry]) -> Iterator[str]:
    """What the organiser says of submissions that are not there: a slip would go unseen."""
    for file in sorted(marks.published.keys() - {entry.file for entry in entries}):
        yield f"{MARKS}: published: {shown(file)} is no submission here; expected its file"
    for root in sorted(marks.run_by_organiser - {entry.root for entry in entries}):
        yield f"{MARKS}: run_by_organiser: {root} is the root hash of no submission here"


def _about(wanted: Wanted, sources: Sources) -> dict[str, Any]:
    """What a board rests on."""
    held_out, disputes = wanted.held_out, wanted.disputes
    return {
        "version": __version__,
        "preset": wanted.preset.name,
        "contexts": [digest for digest, _ in sources.made],
        "held_out": held_out and {"file": held_out.source, "items": len(held_out.ids)},
        "disputed": disputes and disputes.as_dict(),
    }


@dataclass
class _Builder:
    """Takes one submission after the other: from the last build's site, or looked at now."""

    site: Path
    unfinished: Path
    sources: Sources
    pages: Pages
    before: Mapping[str, Stored]
    """By file, as the last build stored it."""
    entries: list[Entry] = field(default_factory=list)
    verified: list[tuple[Stored, Runs]] = field(default_factory=list)
    stored: dict[str, Stored] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    reused: int = 0

    def take(self, submission: Submission) -> None:
        """Add the entry of a submission."""
        stored, looked = self._unchanged(submission), None
        if stored is None or not (self._twin(stored.entry) or self._is_whole(stored)):
            looked = look_at(submission, self.sources)
            stored = looked.stored
        else:
            self.reused += 1
        entry, twin = stored.entry, self._twin(stored.entry)
        if twin:
            self.stored[entry.file] = replace(stored, files={})
            reason = Reason(
                verdict="refused", kind=Refusal.TWICE, where=entry.file,
                what=f"the same submission as {twin}",
            )  # fmt: skip
            self.entries.append(
                replace(
                    entry, verdict=Verdicts.REFUSED, level=None, reasons=(reason,), results=(),
                    slug="",
                )
            )  # fmt: skip
            return
        if looked is None:
            for name in stored.files:
                _copy(self.site / name, self.unfinished / name)
        elif looked.report is not None and entry.is_verified:
            stored = replace(stored, files=self._written(entry, looked.report))
        if entry.is_verified:
            own = open_runs(self.unfinished / RUNS / entry.slug, texts=False)
            self.verified.append((stored, own))
        self.entries.append(entry)
        self.stored[entry.file] = stored

    def _unchanged(self, submission: Submission) -> Stored | None:
        """What is stored of a submission, if it and all that it rests on are as they were."""
        stored = self.before.get(submission.file)
        if (
            stored is None
            or not stored.entry.sha256
            or stored.entry.sha256 != digest_of_file(submission.path)
            or stored.rests_on != self.sources.rests_on(stored.entry)
        ):
            return None
        return stored

    def _is_whole(self, stored: Stored) -> bool:
        """Whether every file of what is stored is as it was written."""
        folders = tuple(f"{place}/{stored.entry.slug}/" for place in (MODELS, RUNS))
        for name, digest in stored.files.items():
            path = self.site / name
            if not name.startswith(folders) or ".." in Path(name).parts or path.is_symlink():
                return False
            try:
                if sha256_of(path) != digest:
                    return False
            except OSError:
                return False
        return bool(stored.files) or not stored.entry.is_verified

    def _twin(self, entry: Entry) -> str:
        """The file of a verified submission with the same root hash; empty for none."""
        if not entry.is_verified:
            return ""
        return next(
            (own.entry.file for own, _ in self.verified if own.entry.root == entry.root), ""
        )

    def _written(self, entry: Entry, report: Report) -> dict[str, str]:
        """Write what others are compared by, and the pages; the SHA-256 of every file, none where
        the pages could not be made: they are tried again at the next build."""
        assert report.runs is not None
        assert report.dataset is not None
        runs, folder = self.unfinished / RUNS / entry.slug, self.unfinished / MODELS / entry.slug
        write_runs(slim(report.runs), runs)
        try:
            with TemporaryDirectory(prefix="safescale-board-") as name:
                write_runs(report.runs, Path(name) / "runs")
                self.pages.model(entry, report.runs, report.dataset, Path(name) / "runs", folder)
        except FAILURES as error:
            shutil.rmtree(folder, ignore_errors=True)
            why = f"{type(error).__name__}: {reason_of(error)}"
            self.complaints.append(f"{entry.file}: its pages could not be made: {why}")
            return {}
        return {
            f"{place}/{entry.slug}/{name}": digest
            for place, own in ((RUNS, runs), (MODELS, folder))
            for name, digest in digests_of(own).items()
        }


def _copy(source: Path, target: Path) -> None:
    """The same file at another place: by a link where the file system has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

"""Each submission of a folder verified by itself, or taken as it was stored by an earlier build
where nothing that it rests on has changed. It compares none with another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from lm_eval_safescale import __version__
from lm_eval_safescale.analysis.study import reader_of
from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.contexts import ContextSet, read_contexts
from lm_eval_safescale.contexts.files import is_built_for
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import FAILURES, SafescaleError, panics_as_errors, reason_of
from lm_eval_safescale.inputs import BUFFER, InputError, opened
from lm_eval_safescale.leaderboard import manifest as of
from lm_eval_safescale.leaderboard.board.folder import Found, Submission, seen, shown
from lm_eval_safescale.leaderboard.board.result import Entry, Reason, slug_of
from lm_eval_safescale.leaderboard.manifest import About
from lm_eval_safescale.leaderboard.verify import (
    SAID,
    Report,
    Verdicts,
    registered_dataset,
    take_record,
    verify_submission,
)
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.runs import Runs, provenance
from lm_eval_safescale.runs.store import NO_STATISTIC
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.verifying.findings import Verdict

MOST_REASONS, MOST_TEXT = 50, 500
"""Of a submission, and characters of each part of one."""
ORDER = (Verdict.DAMAGED, Verdict.UNKNOWN, Verdict.WHOLE)
JUDGE = "judge"
"""The kind of a finding: who judged the answers."""
NamedData = Callable[[str, Sequence[str]], Dataset]
"""`load(family, groups)` gives one that the organiser names, as items of that family."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What is stored of a submission between builds."""

    entry: Entry
    """Without what rests on others: comparison, flags."""
    rests_on: Mapping[str, Any]
    """All that its figures rest on besides the archive (`Sources.rests_on`)."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """One fingerprint of all texts, by condition: those of copies are the same."""
    weights: str = ""
    """By what its weights are told, as claimed; empty where nothing tells."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of its files in the site, by name: pages, and the answers that others are compared
    with."""


@dataclass
class Sources:
    """What submissions are looked at with."""

    found: Found
    named: Mapping[str, NamedData] = field(default_factory=dict)
    """Data sets, by the name or file that the organiser gives."""
    contexts: Sequence[Path] = ()
    allow_demo: bool = False
    pages: Mapping[str, Any] = field(default_factory=dict)
    """What the pages of an entry rest on besides (`Pages.rests_on`)."""
    unused: dict[str, str] = field(default_factory=dict)
    """Why a named data set could not be read as items of a family."""
    used: set[str] = field(default_factory=set)
    """Named data sets that a submission is of."""
    _read: dict[tuple[str, str, tuple[str, ...]], Dataset | SafescaleError] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.made: list[tuple[str, ContextSet]] = [
            (sha256_of(path), read_contexts(path)) for path in self.contexts
        ]

    def dataset(self, about: About, groups: Sequence[str] = ()) -> Dataset | None:
        """The named data set that a manifest speaks of; None where none has its fingerprint."""
        for name, load in self.named.items():
            for given in dict.fromkeys([tuple(groups), ()]):
                found = self._once((name, about.family, given), load)
                if isinstance(found, Dataset) and found.fingerprint == about.fingerprint:
                    self.used.add(name)
                    return found
        return None

    def _once(
        self, key: tuple[str, str, tuple[str, ...]], load: NamedData
    ) -> Dataset | SafescaleError:
        name, family, groups = key
        if key not in self._read:
            try:
                self._read[key] = load(family, groups)
            except SafescaleError as error:
                self._read[key] = error
                self.unused.setdefault(name, reason_of(error))
        return self._read[key]

    def contexts_of(self, dataset: Dataset | None) -> list[ContextSet]:
        """Those that were built for a data set."""
        return [] if dataset is None else [made for _, made in self._made_for(dataset.fingerprint)]

    def _made_for(self, fingerprint: str) -> list[tuple[str, ContextSet]]:
        return [(digest, made) for digest, made in self.made if is_built_for(made, fingerprint)]

    def rests_on(self, entry: Entry) -> dict[str, Any]:
        """All that the figures of an entry rest on besides its archive."""
        return {
            "version": __version__,
            "family": _provider_of(str(entry.dataset.get("family", ""))),
            "data": self._data_of(entry),
            "contexts": [
                digest for digest, _ in self._made_for(str(entry.dataset.get("fingerprint", "")))
            ],
            "allow_demo": self.allow_demo,
            "published": self.found.marks.published.get(entry.file, ""),
            "by_organiser": entry.root in self.found.marks.run_by_organiser,
            "record": _digest_of(self.found.records.get(entry.root)),
            "pages": self.pages,
        }

    def _data_of(self, entry: Entry) -> str:
        """The fingerprint of the data set that it would be verified by."""
        if not entry.dataset:
            return ""
        try:
            about = msgspec.convert(dict(entry.dataset), About)
            dataset = self.dataset(about) or self._registered(about)
        except FAILURES:
            return ""
        return "" if dataset is None else dataset.fingerprint

    def _registered(self, about: About) -> Dataset | None:
        key = ("", f"{about.family}/{about.name}", ())
        found = self._read.get(key)
        if found is None:
            dataset = registered_dataset(about)
            if dataset is not None:
                self._read[key] = dataset
            return dataset
        return found if isinstance(found, Dataset) else None


@dataclass(frozen=True)
class Looked:
    """A submission that was looked at now."""

    stored: Stored
    report: Report | None
    """None where it could not be verified at all."""


def look_at(submission: Submission, sources: Sources) -> Looked:
    """Verify a submission; whatever goes wrong is a reason, and costs no other."""
    entry = Entry(
        file=submission.file, label=submission.file, slug="", verdict=Verdicts.REFUSED,
        sha256=digest_of_file(submission.path),
    )  # fmt: skip
    report = None
    try:
        with panics_as_errors():
            report = verify_submission(
                submission.path, sources.dataset, sources.contexts_of,
                root=sources.found.marks.published.get(submission.file, ""),
                allow_demo=sources.allow_demo,
            )  # fmt: skip
        report.by_organiser = report.root in sources.found.marks.run_by_organiser
        if report.runs is not None:
            for said in report.runs.family.not_by_a_model(report.runs.about):
                report.found.damaged(of.ANSWERS, f"{said}: nothing may be ranked by that", JUDGE)
        if report.brought_data:
            report.found.unknown(
                "data set", "it came with the answers, and is none that this board names"
            )
        if (record := sources.found.records.get(report.root)) is not None:
            take_record(record, report)
        entry = _entry(entry, report)
        stored = Stored(
            entry=entry,
            rests_on=sources.rests_on(entry),
            answers=_answers_of(report) if entry.is_verified else {},
            weights=_weights_of(report) if entry.is_verified else "",
        )
        return Looked(stored, report)
    except FAILURES as error:
        kind = "input" if isinstance(error, SafescaleError) else "failure"
        # without where the file lies on the organiser's machine
        what = error.reason if isinstance(error, InputError) else reason_of(error)
        why = reason("refused", kind, submission.file, what, "what submit pack writes")
        entry = replace(entry, verdict=Verdicts.REFUSED, reasons=(why,), results=(), slug="")
        return Looked(Stored(entry=entry, rests_on=sources.rests_on(entry)), None)


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file of bounded size; empty where it cannot be read."""
    try:
        with opened(path) as file:
            digest = hashlib.sha256()
            while piece := file.read(BUFFER):
                digest.update(piece)
            return digest.hexdigest()
    except SafescaleError:
        return ""


def judges_of(runs: Runs) -> list[str]:
    """Who judged the answers of runs of a family that asks a judge, each once."""
    if not runs.family.judged:
        return []
    settings = (provenance.settings_of(runs, *pair) for pair in runs.draws)
    return list(dict.fromkeys(map(reader_of, settings)))


def slim(runs: Runs) -> Runs:
    """What comparisons need of runs: no text."""
    return replace(runs, answers=runs.answers.drop(NO_STATISTIC, strict=False))


def _entry(entry: Entry, report: Report) -> Entry:
    """What is said of a submission; numbers only of one that is verified."""
    found, told = report.found, report.manifest
    entry = replace(
        entry,
        verdict=report.verdict,
        level=report.level,
        root=report.root,
        answers=found.answers,
        reasons=tuple(_reasons(report)),
    )
    if told is None:
        return entry
    times = sorted(str(start["at"]) for start in told.starts if start.get("at"))
    entry = replace(
        entry,
        label=seen(told.card.name),
        card=msgspec.to_builtins(told.card),
        dataset=msgspec.to_builtins(told.dataset),
        demo=told.demo,
        made_by=told.made_by,
        made_at=times[-1] if times else "",
    )
    if not entry.is_verified or report.runs is None:
        return entry
    draws = report.draws
    return replace(
        entry,
        slug=slug_of(told.card.name, report.root),
        draws={name: draws[name] for name in report.runs.conditions},
        judge=listed(judges_of(report.runs)),
        subsets=dict(found.subsets),
        results=tuple(report.results),
        not_shown=tuple(report.not_shown),
        lacks=tuple(report.lacks),
        sample=report.repeated,
    )


def _reasons(report: Report) -> Iterator[Reason]:
    """The findings, what refuses first, as far as somebody will read them."""
    every = sorted(report.found.findings, key=lambda each: ORDER.index(each.verdict))
    for each in every[:MOST_REASONS]:
        yield reason(SAID[each.verdict], str(each.kind), each.where, each.what, each.expected)
    if len(every) > MOST_REASONS:
        last = every[MOST_REASONS]
        what = f"and {len(every) - MOST_REASONS:,} more"
        yield reason(SAID[last.verdict], str(last.kind), report.file.name, what)


def reason(verdict: str, kind: str, where: str, what: str, expected: str = "") -> Reason:
    """A reason whose texts, which may be anybody's, are seen and short."""
    where, what, expected = (
        f"{shown(text[:MOST_TEXT])}{'...' * (len(text) > MOST_TEXT)}"
        for text in (where, what, expected)
    )
    return Reason(verdict=verdict, kind=kind, where=where, what=what, expected=expected)


def _answers_of(report: Report) -> dict[str, str]:
    """One fingerprint of what was said under each condition, whatever the model is called."""
    assert report.runs is not None
    answers = report.runs.answers
    said = pl.coalesce(*(pl.col(name).cast(pl.String) for name in ("text", "response", "status")))
    found = {}
    for condition in report.runs.conditions:
        own = answers.filter(pl.col("condition") == condition)
        lines = own.select(
            pl.concat_str(
                pl.col("question_id").cast(pl.String), pl.col("draw").cast(pl.String), said,
                separator="\t",
            )
        ).to_series()  # fmt: skip
        found[condition] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return found


def _weights_of(report: Report) -> str:
    """By what the weights are told: the fingerprint of their files, else their name and
    revision."""
    assert report.manifest is not None
    args = report.manifest.model.settings.get("model_args") or {}
    if not isinstance(args, Mapping):
        return ""
    if args.get("files"):
        return f"files {args['files']}"
    name = args.get("pretrained") or args.get("model")
    return f"{name} {report.manifest.card.revision}" if name else ""


def _provider_of(family: str) -> str:
    """The package and version that a family comes from; empty where it is not installed."""
    try:
        return plugins().find("family", family).provided_by
    except SafescaleError:
        return ""


def _digest_of(value: Mapping[str, Any] | None) -> str:
    return "" if value is None else hashlib.sha256(msgspec.json.encode(value)).hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }

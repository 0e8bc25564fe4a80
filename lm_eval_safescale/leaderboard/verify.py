"""Whether a submission is what it says: unpacked with bounds, looked at as any runs are, and every
number computed again. It asks no model, and writes nothing but a temporary folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from lm_eval_safescale.analysis.study import Study
from lm_eval_safescale.assembly import load_part
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.datasets.columns import GROUP
from lm_eval_safescale.datasets.sources import demo_fingerprints
from lm_eval_safescale.errors import (
    FAILURES,
    PanicError,
    SafescaleError,
    panics_as_errors,
    reason_of,
)
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.judging.judging import VERDICTS_FILE
from lm_eval_safescale.leaderboard import manifest as of
from lm_eval_safescale.leaderboard.archive import Refusal, RefusedArchiveError, unpacked
from lm_eval_safescale.leaderboard.manifest import Manifest, UnknownFormatError, counts_of, decoded
from lm_eval_safescale.leaderboard.pack import results_of, study_of
from lm_eval_safescale.leaderboard.tables import (
    UnreadableError,
    read_answers,
    read_items,
    read_verdicts,
)
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import NOT_SCORED, ReadAs
from lm_eval_safescale.runs.families import family_named
from lm_eval_safescale.runs.sources import other_than
from lm_eval_safescale.runs.table import Runs, checked_items
from lm_eval_safescale.verifying.findings import Kind, Verdict, Verification
from lm_eval_safescale.verifying.prompts import contexts_at
from lm_eval_safescale.verifying.responses import SAID_BY_REPLY
from lm_eval_safescale.verifying.verify import check_runs
from lm_eval_safescale.words import counted

FORMAT = 1
LIKE = 1e-9
"""Relative difference of two numbers that are the same, computed on two machines."""
STRICTER: dict[str, Verdict] = {Kind.VERSION: Verdict.DAMAGED, Kind.MISSING: Verdict.UNKNOWN}
"""What notes are on a submission: whether items were chosen, only our runner's order can tell."""
Load = Callable[[of.About, Sequence[str]], Dataset | None]
"""`load(about, groups)` gives the data set that a manifest speaks of; None: as if there were no
`load`."""
Contexts = Iterable[Path] | Callable[[Dataset | None], Iterable[ContextSet]]
"""Files of contexts built ahead, or what gives those of a data set."""


class Verdicts(StrEnum):
    """What is to be said of a submission."""

    VERIFIED = "verified"
    REFUSED = "refused"
    UNKNOWN = "cannot tell"


class Level(StrEnum):
    """How much stands behind a submission that is verified."""

    RECOMPUTED = "recomputed"
    """Every response was read again, and every number computed again, from the texts handed in."""
    REPEATED = "repeated"
    """And a sample of the items was asked again of the same model."""
    BY_ORGANISER = "run by the organiser"
    """And the organiser has made the answers."""


class SubmissionKind(StrEnum):
    """Further kinds of findings, of a submission alone."""

    MANIFEST = "manifest"
    NUMBER = "number"
    DEMO = "demo"
    UNREAD = "unread"
    REPEAT = "repeat"


class Sample(msgspec.Struct):
    """What a record of `repeat` says of what was asked again."""

    items: list[str]
    answers: int
    left_out: dict[str, str]
    """Conditions that could not be asked, with the reason."""
    same_weights: bool | None = None


@dataclass(slots=True)
class Report:
    """What was found in a submission."""

    file: Path
    found: Verification
    root: str = ""
    manifest: Manifest | None = None
    runs: Runs | None = None
    dataset: Dataset | None = None
    """That its answers are of; None where it is not at hand."""
    brought_data: bool = False
    """Whether that is the one that came with the answers: whose it is, is a claim."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """Every metric by condition, as computed now."""
    published_root: bool = False
    """Whether the root hash was given beforehand, and is this one."""
    by_organiser: bool = False
    repeated: Sample | None = None
    """That was asked again and said the same."""

    @property
    def verdict(self) -> Verdicts:
        """What is to be said of it."""
        return {
            Verdict.WHOLE: Verdicts.VERIFIED,
            Verdict.DAMAGED: Verdicts.REFUSED,
            Verdict.UNKNOWN: Verdicts.UNKNOWN,
        }[self.found.verdict]

    @property
    def level(self) -> Level | None:
        """None for what is not verified."""
        if self.verdict is not Verdicts.VERIFIED:
            return None
        if self.by_organiser:
            return Level.BY_ORGANISER
        return Level.REPEATED if self.repeated else Level.RECOMPUTED

    @property
    def not_shown(self) -> list[str]:
        """What cannot be shown, in plain words."""
        return [*_not_shown(self)]

    @property
    def draws(self) -> dict[str, int]:
        """K: samples beside the greedy answer, by condition."""
        return {} if self.runs is None else {name: k for (_, name), k in self.runs.draws.items()}

    @property
    def headlines(self) -> Mapping[str, str]:
        """The metrics to show first, fractions, and what to call them."""
        if self.runs is None:
            return {}
        own = self.runs.family.headlines
        return own or {name: name for row in self.results[:1] for name in [*row][2:5]}

    @property
    def lacks(self) -> list[str]:
        """What the answers do not say, in plain words."""
        return [] if self.runs is None else _lacks(self.runs)

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        found, told = self.found, self.manifest
        return {
            "safescale_verification": FORMAT,
            "file": self.file.name,
            "root": self.root or None,
            "root_was_published": self.published_root,
            "verdict": self.verdict.value,
            "level": self.level,
            "repeated": msgspec.to_builtins(self.repeated),
            "demo": None if told is None else told.demo,
            "card": None if told is None else msgspec.to_builtins(told.card),
            "dataset": None if told is None else msgspec.to_builtins(told.dataset),
            "answers": found.answers,
            "read_again": found.read_again,
            "not_read_again": found.not_read_again,
            "prompts_rendered_again": found.prompts,
            "prompts_not_rendered_again": found.prompts_left,
            "subsets": {name: {"items": n, "of": of} for name, (n, of) in found.subsets.items()},
            "draws": self.draws,
            "findings": [
                {
                    "verdict": SAID[each.verdict],
                    "kind": str(each.kind),
                    "where": each.where,
                    "what": each.what,
                    "expected": each.expected or None,
                }
                for each in found.findings
            ],
            "results": self.results,
            "cannot_be_shown": self.not_shown,
            "lacks": self.lacks,
        }


SAID = {Verdict.WHOLE: "noted", Verdict.DAMAGED: "refused", Verdict.UNKNOWN: "cannot tell"}


def verify_submission(
    path: Path,
    load: Load | None = None,
    contexts: Contexts = (),
    *,
    root: str = "",
    allow_demo: bool = False,
    record: Mapping[str, Any] | None = None,
    by_organiser: bool = False,
) -> Report:
    """Look at all that a submission holds.

    Parameters
    ----------
    load
        Gives its data set; None: a registered one of its name, where it is on this machine.
    contexts
        Of the conditions that show what was built ahead.
    root
        The root hash that was published before.
    allow_demo
        Take demo data.
    record
        Of a sample that was asked again (`repeat`).
    by_organiser
        Whether whoever verifies has made the answers.

    Raises
    ------
    SafescaleError
        If the file cannot be read or is no archive, or contexts or the data set that were named
        cannot be.
    """
    report = Report(path, Verification(path), by_organiser=by_organiser)
    try:
        with submission(path, report) as (told, folder):
            _check_root(report, root)
            runs = report.runs = _runs(folder, told, report.found)
            dataset = None if runs is None else _dataset(told, runs, folder, report, load)
            report.dataset = dataset
            _check_demo(told, dataset, report, allow_demo=allow_demo)
            if runs is not None:
                made = contexts(dataset) if callable(contexts) else contexts_at(contexts, dataset)
                _check(runs, told, folder, report, dataset, made)
            if record is not None:
                take_record(record, report)
    except RefusedArchiveError as error:
        report.found.damaged(error.where, error.what, error.kind, error.expected)
    return report


@contextmanager
def submission(path: Path, report: Report) -> Iterator[tuple[Manifest, Path]]:
    """The manifest of a submission, and a temporary folder with its files; the report takes its
    root. RefusedArchiveError and SafescaleError as of `unpacked`."""
    with unpacked(path, of.NEEDED, of.ALLOWED) as (folder, root):
        report.root = root
        try:
            report.manifest = decoded((folder / of.MANIFEST).read_bytes())
        except UnknownFormatError as error:
            raise RefusedArchiveError(Kind.VERSION, of.MANIFEST, str(error)) from None
        except (ValueError, RecursionError) as error:
            raise RefusedArchiveError(
                SubmissionKind.MANIFEST, of.MANIFEST, reason_of(error)
            ) from None
        yield report.manifest, folder


def _check_root(report: Report, root: str) -> None:
    if not root:
        return
    report.published_root = root.strip().casefold() == report.root
    if not report.published_root:
        report.found.damaged(
            "root hash", f"{report.root}, and another was published before", Refusal.ROOT, root
        )


def _check_demo(
    told: Manifest, dataset: Dataset | None, report: Report, *, allow_demo: bool
) -> None:
    """Whether the data are for demonstration: as the data set at hand says; where there is none,
    those that we know, and what the manifest says."""
    is_known = told.dataset.fingerprint in demo_fingerprints()
    is_demo = is_known or (
        dataset.is_demo if dataset is not None else told.demo or told.dataset.demo
    )
    for where, value in (("demo", told.demo), ("dataset.demo", told.dataset.demo)):
        if value is not is_demo:
            what = f"says {value}, which its data set is not"
            report.found.damaged(f"{of.MANIFEST}: {where}", what, SubmissionKind.DEMO, is_demo)
    if is_demo and not allow_demo:
        report.found.damaged(
            "data set", "demo data: no claim may rest on them", SubmissionKind.DEMO
        )


# --- the runs -------------------------------------------------------------------------------------


def _runs(folder: Path, told: Manifest, found: Verification) -> Runs | None:
    """The answers as runs; None where they are none, which is noted."""
    name = told.card.name
    try:
        family = family_named(told.dataset.family)
    except SafescaleError as error:
        found.unknown(
            f"{of.MANIFEST}: dataset.family",
            f"the benchmark is not installed: {error}",
            Kind.VERSION,
        )
        return None
    for field_name, own in (("family_version", family.version), ("label", family.label)):
        value = getattr(told.dataset, field_name)
        if value != own:
            found.damaged(
                f"{of.MANIFEST}: dataset.{field_name}",
                f"{value}, of which this installation knows nothing", Kind.VERSION, own,
            )  # fmt: skip
    known = msgspec.to_builtins(told.model)
    about = {
        "dataset": msgspec.to_builtins(told.dataset),
        "models": {name: {each: value for each, value in known.items() if value is not None}},
        "left_out": msgspec.to_builtins(told.left_out),
    }
    at = of.ITEMS
    try:
        with panics_as_errors(quiet=True):
            items = checked_items(read_items(folder / of.ITEMS), family)
            at = of.ANSWERS
            runs = Runs(items, read_answers(folder / of.ANSWERS, name), about)
            at = of.VERDICTS
            if (folder / of.VERDICTS).is_file():
                verdicts = read_verdicts(folder / of.VERDICTS, name)
                verdicts.write_parquet(folder / VERDICTS_FILE)
            return runs
    except (UnreadableError, *FAILURES, PanicError) as error:
        where = Kind.ITEM if at == of.ITEMS else Kind.TABLE
        found.damaged(at, f"no table of this benchmark: {reason_of(error)}", where)
        return None


def _check(
    runs: Runs,
    told: Manifest,
    folder: Path,
    report: Report,
    dataset: Dataset | None,
    contexts: Iterable[ContextSet],
) -> None:
    found = report.found
    try:
        check_runs(runs, dataset, found, folder, contexts=contexts)
        _check_counts(told, runs, found)
        _check_starts(told, runs, found)
        _check_numbers(folder, study_of(runs), report)
    except FAILURES as error:  # what a manifest says may be anything
        found.damaged(
            of.MANIFEST,
            f"makes no sense together with its answers: {reason_of(error)}",
            SubmissionKind.MANIFEST,
        )
    if found.claimed:
        found.unknown(
            of.ANSWERS,
            f"{found.claimed:,} answers have responses that nothing here can read again: claims",
            SubmissionKind.UNREAD,
        )
    # what is a remark on one's own runs is none on those of others
    found.findings = [
        replace(each, verdict=STRICTER.get(each.kind, each.verdict))
        if each.verdict is Verdict.WHOLE
        else each
        for each in found.findings
    ]


def _dataset(
    told: Manifest, runs: Runs, folder: Path, report: Report, load: Load | None
) -> Dataset | None:
    """The data set of a submission; None where it is not at hand, which is noted."""
    about, found = told.dataset, report.found
    family = family_named(about.family)
    groups = [name.removeprefix(GROUP) for name in runs.items.columns if name.startswith(GROUP)]
    dataset = None
    if load is not None:
        try:
            dataset = load(about, groups)
        except SafescaleError:  # it may be the groups, which the submission names
            dataset = load(about, ())
    try:
        if dataset is None:
            dataset = registered_dataset(about, groups)
        if dataset is None:
            if not (folder / of.DATA).is_file():
                raise SafescaleError("no data set of that name is installed; name its file")
            dataset = family.load(folder / of.DATA, groups=groups)
            report.brought_data = True
            found.note(of.DATA, f"the data set came with its answers: {about.name} is a claim")
    except SafescaleError as error:
        found.unknown(
            "data set", f"{about.name} is not at hand: {reason_of(error)}", Kind.DATA,
            about.fingerprint,
        )  # fmt: skip
        return None
    if other := other_than(msgspec.to_builtins(about), dataset):
        found.unknown("data set", other, Kind.DATA, about.fingerprint)
        return None
    if about.items != len(dataset):
        found.damaged(
            f"{of.MANIFEST}: dataset.items",
            f"says {about.items}",
            SubmissionKind.MANIFEST,
            len(dataset),
        )
    return dataset


def registered_dataset(about: of.About, groups: Sequence[str] = ()) -> Dataset | None:
    """The installed data set of the name that a manifest gives; None where there is none. What a
    submission names is never opened as a file, nor what it brings taken for it. SafescaleError
    where it cannot be had on this machine."""
    if about.name.casefold() not in {name.casefold() for name in plugins().names("data set")}:
        return None
    part = plugins().find("data set", about.name)
    return load_part(part, groups=groups, local_only=True, family=family_named(about.family))


# --- what the manifest says -----------------------------------------------------------------------


def _check_counts(told: Manifest, runs: Runs, found: Verification) -> None:
    for where, value, expected in _differences(told.counted, counts_of(runs), "counted"):
        found.damaged(
            f"{of.MANIFEST}: {where}", f"says {value!r}", SubmissionKind.MANIFEST, repr(expected)
        )
    own = list(runs.conditions)
    if told.model.conditions != own:
        found.damaged(
            f"{of.MANIFEST}: model.conditions",
            f"says {told.model.conditions}",
            SubmissionKind.MANIFEST,
            own,
        )
    if extra := sorted(set(told.model.by_condition) - set(own)):
        found.damaged(
            f"{of.MANIFEST}: model.by_condition",
            f"speaks of {', '.join(extra)}",
            SubmissionKind.MANIFEST,
            own,
        )
    if told.model.parameters_b not in (None, told.card.parameters_b):
        found.damaged(
            f"{of.MANIFEST}: card.parameters_b",
            f"says {told.card.parameters_b}",
            SubmissionKind.MANIFEST,
            told.model.parameters_b,
        )
    if runs.items.height != told.dataset.items:
        found.damaged(of.ITEMS, f"{runs.items.height} items", Kind.ITEM, f"{told.dataset.items}")


def _differences(told: Any, own: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(told, Mapping) and isinstance(own, Mapping):
        for name in dict.fromkeys([*own, *told]):
            yield from _differences(told.get(name), own.get(name), f"{where}.{name}")
    elif told != own or isinstance(told, bool) is not isinstance(own, bool):
        yield where, told, own


def _check_starts(told: Manifest, runs: Runs, found: Verification) -> None:
    """What is said of when the answers were asked for: claims, but not any."""
    now = datetime.now(UTC) + timedelta(days=1)
    for number, start in enumerate(told.starts, 1):
        where = f"{of.MANIFEST}: start {number}"
        try:
            at = datetime.fromisoformat(str(start["at"]))
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        except (KeyError, ValueError):
            found.damaged(where, f"no time: {start.get('at')!r}", Kind.IMPOSSIBLE)
            continue
        if not datetime(2022, 1, 1, tzinfo=UTC) < at < now:
            found.damaged(where, f"at {start['at']}", Kind.IMPOSSIBLE, f"before {now.isoformat()}")
        items = start.get("items", 0)
        if not isinstance(items, int) or not 0 <= items <= runs.items.height:
            found.damaged(where, f"{items} items", Kind.IMPOSSIBLE, runs.items.height)
        known = [*runs.conditions, *(each.condition for each in told.left_out)]
        if lacking := [each for each in start.get("conditions", ()) if each not in known]:
            found.damaged(where, f"asked under {lacking}, of which nothing is here", Kind.MISSING)


def _check_numbers(folder: Path, study: Study, report: Report) -> None:
    """Compute every number again, and note each that is another one."""
    report.results = results_of(study)
    found = report.found
    try:
        told = of.json_of((folder / of.RESULTS).read_bytes())
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise ValueError("expected a list of rows")
    except ValueError as error:
        found.damaged(of.RESULTS, f"no numbers: {error}", SubmissionKind.NUMBER)
        return
    own = {row["condition"]: row for row in report.results}
    claimed = {str(row.get("condition")): row for row in told}
    if list(own) != [row.get("condition") for row in told]:
        found.damaged(of.RESULTS, f"of the conditions {[*claimed]}", SubmissionKind.NUMBER, [*own])
    for condition in own.keys() & claimed.keys():
        for name in dict.fromkeys([*own[condition], *claimed[condition]]):
            now, then = own[condition].get(name), claimed[condition].get(name)
            if name in study.not_computed or (name not in own[condition] and name in _asked(study)):
                found.unknown(
                    f"{of.RESULTS}: {condition}, {name}",
                    "cannot be computed here",
                    SubmissionKind.NUMBER,
                )
            elif not _are_like(now, then):
                found.damaged(
                    f"{of.RESULTS}: {condition}, {name}", f"{then}", SubmissionKind.NUMBER, now
                )


def _asked(study: Study) -> set[str]:
    return {metric.name for metric in study.asked_metrics}


def _are_like(one: Any, other: Any) -> bool:
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        return math.isclose(one, other, rel_tol=LIKE, abs_tol=1e-12)
    return bool(one == other) and type(one) is type(other)


def take_record(record: Mapping[str, Any], report: Report) -> None:
    """What a sample that was asked again says, if it was of this submission."""
    if record.get("root") != report.root:
        report.found.damaged(
            "repeat",
            f"of another submission: {record.get('root')}",
            SubmissionKind.REPEAT,
            report.root,
        )
    elif record.get("repeated") is not True:
        report.found.damaged(
            "repeat",
            "asked again, the model said other things than were handed in",
            SubmissionKind.REPEAT,
        )
    else:
        try:
            report.repeated = msgspec.convert(record, Sample)
        except msgspec.ValidationError as error:
            report.found.damaged("repeat", f"no record of a sample: {error}", SubmissionKind.REPEAT)


# --- what is said of it ---------------------------------------------------------------------------


def _of_sample(sample: Sample) -> str:
    """How far a sample that was asked again goes."""
    said = (
        f": of a sample of {counted(len(sample.items), 'item')} it said the same when asked "
        f"again ({counted(sample.answers, 'answer')})"
    )
    if sample.left_out:
        said += f"; not asked again: {', '.join(sorted(sample.left_out))}"
    return said + ("; of other weights' files" if sample.same_weights is False else "")


def _not_shown(report: Report) -> Iterator[str]:
    if report.manifest is None:
        return
    if not report.by_organiser:
        yield (
            "that this model wrote these texts"
            + (
                _of_sample(report.repeated)
                if report.repeated
                else "; asked again, a sample shows it"
            )
        )
    if not report.published_root:
        yield (
            "that no text was changed before it was packed: without a root hash published "
            "beforehand, texts that were rewritten together with all that follows from them show "
            "only in a sample that is asked again"
        )
    yield (
        "what is a claim: the card, settings, seeds, times, tokens, and what stood around the user "
        "turn of a prompt"
    )
    for reason, number in report.found.prompts_left.items():
        yield f"that {number:,} prompts were what they should be: {reason}"
    if report.runs is not None:
        status = report.runs.answers["status"]
        for each in NOT_SCORED:
            if number := int((status == each.value).sum()):
                yield f"what {number:,} answers would have been, which are said to be {each.value}"
        if number := int((report.runs.answers["read_as"] == ReadAs.CUT.value).sum()):
            yield f"what {number:,} answers would have been, which are said to have been cut off"
    for why, number in report.found.not_read_again.items():
        if why == SAID_BY_REPLY:
            yield f"what {number:,} answers are, of which {why}"
    if report.runs is not None and (report.runs.answers["rule"] == ROLE).any():
        yield "that the judge replied what is handed in"


def _lacks(runs: Runs) -> list[str]:
    answers = runs.answers
    said = {
        "text": "the raw text",
        "rule": "the rule that read it",
        "prompt_sha256": "the hash of its prompt",
        "completion_tokens": "its number of tokens",
    }
    missing = {name: answers[name].null_count() for name in said}
    return [
        f"{number:,} of {answers.height:,} answers are without {said[name]}"
        for name, number in missing.items()
        if number
    ]

"""A seeded sample of a submission's items, asked again of the same model here: do the greedy
answers say what was handed in, as far as the engine says the same thing twice.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly import setting_of_dataset
from lm_eval_safescale.checksums import document_of, read_document
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.files import replaced
from lm_eval_safescale.inputs import InputError, read_bytes
from lm_eval_safescale.leaderboard import manifest as of
from lm_eval_safescale.leaderboard.manifest import Manifest, public
from lm_eval_safescale.leaderboard.verify import Report, submission
from lm_eval_safescale.plugins import OURS, plugins
from lm_eval_safescale.prompts import sha256_of_prompt
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.identity import fingerprint_of, path_of
from lm_eval_safescale.settings import MAKE_ANSWERS
from lm_eval_safescale.stats import clopper_pearson, mcnemar_exact

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request

FORMAT, MARK = 1, "safescale_repeat"
ITEMS = 20
SIGNIFICANT = 0.10
"""Of the two-sided test, so that stored answers that differ from the engine more often than it does
from itself are told with an error of 5 % on that side."""
MOST_RECORD = 4_000_000
LARGEST_SEED = 2**31
Key = tuple[str, str]
"""Condition and item."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that came back: its text, and what it says."""

    text: str
    response: str


@dataclass(slots=True)
class Asked:
    """What was stored, and what came back twice."""

    stored: dict[Key, Given] = field(default_factory=dict)
    first: dict[Key, Given] = field(default_factory=dict)
    second: dict[Key, Given] = field(default_factory=dict)
    prompts: dict[Key, tuple[str | None, str]] = field(default_factory=dict)
    """Hashes, as stored and as asked now."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Conditions that could not be asked, with the reason."""


def repeat(
    report: Report,
    backend: str,
    args: Mapping[str, Any],
    *,
    items: int = ITEMS,
    seed: int | None = None,
    dataset: str | None = None,
    contexts: Iterable[Path] = (),
    batch_size: str | None = None,
    device: str | None = None,
    by: str = "",
    on_progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Ask a sample of the items of a submission again, twice, and compare.

    Parameters
    ----------
    report
        Of the submission, which was verified.
    backend, args
        Of the model, as for `lm_eval`.
    items
        How many; each under every condition that can be asked here.
    seed
        By which they are drawn. None: one that nobody could know beforehand; else a submitter could
        leave alone the very items that will be asked.
    dataset
        Name or file of the data set; None: as the submission names it.
    contexts
        Files of contexts built ahead.
    by
        Who asks.

    Returns
    -------
    A record (`write_record`): agreement of texts and responses, each with its interval (95 %,
    exact), beside that of the engine with itself; `repeated` where the first is not lower than
    chance explains (exact McNemar test), and every prompt was the stored one.

    Raises
    ------
    SafescaleError
        If the submission was refused, or nothing of it can be asked.
    """
    told, runs = report.manifest, report.runs
    if told is None or runs is None or report.verdict == "refused":
        raise SafescaleError(f"{report.file}: refused already; verifying it says why")
    greedy = runs.answers.filter(
        (pl.col("draw") == 0)
        & pl.col("text").is_not_null()
        & (pl.col("status") != Status.ERROR.value)
    )
    every = sorted(greedy["question_id"].cast(pl.String).unique())
    if not every:
        raise SafescaleError(
            f"{report.file}: no greedy answer with a text, which could be repeated"
        )
    seed = secrets.randbelow(LARGEST_SEED) if seed is None else seed
    sample = frozenset(random.Random(seed).sample(every, min(items, len(every))))
    asked = Asked()
    stored_prompts = {}
    for row in greedy.iter_rows(named=True):
        if row["question_id"] in sample:
            key = row["condition"], row["question_id"]
            # what a judge has read comes back as it was before
            is_read = runs.family.judged and row["response"] is not None
            said = Status.UNJUDGED.value if is_read else row["response"] or row["status"]
            asked.stored[key] = Given(row["text"], said)
            stored_prompts[key] = row["prompt_sha256"]
    with ExitStack() as stack:
        _, folder = stack.enter_context(submission(report.file, Report(report.file, report.found)))
        given = dataset or _registered(told) or str(folder / of.DATA)
        if given == str(folder / of.DATA) and not (folder / of.DATA).is_file():
            raise SafescaleError(f"the data set {told.dataset.name} is not at hand; name its file")
        conditions = _requests(told, given, [*contexts], args, asked)
        _ask(
            conditions, backend, args, asked, stored_prompts, seed, batch_size, device, on_progress
        )
    return _record(report, told, asked, backend, args, sample, seed, by)


def _registered(told: Manifest) -> str:
    """The data set of a submission, by the name of a registered one, or empty: what it names is
    never opened as a file."""
    name = told.dataset.name
    known = {each.casefold() for each in plugins().names("data set")}
    return name if name.casefold() in known else ""


def _requests(
    told: Manifest,
    dataset: str,
    contexts: Sequence[Path],
    args: Mapping[str, Any],
    asked: Asked,
) -> dict[str, ConditionRequests]:
    """The conditions that can be asked here."""
    from lm_eval_safescale.harness.requests import ConditionRequests

    files = {read_contexts(path).condition: path for path in contexts}
    found: dict[str, ConditionRequests] = {}
    for name in told.model.conditions:
        settings = {**told.model.settings, **told.model.by_condition.get(name, {})}
        own = {each: settings[each] for each in MAKE_ANSWERS if settings.get(each) is not None}
        if own.get("accept_temperature"):
            asked.left_out[name] = "its answers were not greedy"
            continue
        metadata = {**args, **own, "draws": 0, setting_of_dataset(dataset): dataset}
        if name in files:
            metadata["contexts"] = str(files[name])
        like = next(iter(found.values()), None)
        try:
            found[name] = ConditionRequests(plugins().find("condition", name), metadata, like)
        except SafescaleError as error:
            asked.left_out[name] = str(error).splitlines()[0]
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in asked.left_out.items())
        raise SafescaleError(f"nothing of it can be asked here: {why}")
    return found


def _ask(
    conditions: Mapping[str, ConditionRequests],
    name: str,
    args: Mapping[str, Any],
    asked: Asked,
    stored_prompts: Mapping[Key, str | None],
    seed: int,
    batch_size: str | None,
    device: str | None,
    on_progress: Callable[[str], object],
) -> None:
    from lm_eval_safescale.harness import backends
    from lm_eval_safescale.harness.engines import engine_of
    from lm_eval_safescale.harness.loading import load_backend, with_defaults

    on_progress("loading the model")
    backend = load_backend(name, with_defaults(name, args), batch_size=batch_size, device=device)
    for each in conditions.values():
        each.prepare(backend, chat_template=backends.takes_conversations(backend))
    requests = [
        next(each.requests(item, at_once=None))
        for each in conditions.values()
        for item in each.items
        if (each.name, item) in asked.stored
    ]
    for request in requests:
        key = request.condition, request.question_id
        text = str(getattr(request.prompt, "prompt", request.prompt))
        asked.prompts[key] = stored_prompts[key], sha256_of_prompt(text)
    engine = engine_of(backend, name)
    # in another order, so that what else is in a batch is other, too
    shuffled = random.Random(seed + 1).sample(requests, len(requests))
    for number, (order, given) in enumerate(((requests, asked.first), (shuffled, asked.second)), 1):
        for completion in engine.answer(_batches(order, engine.items_at_once)):
            _take(completion, conditions, given)
            on_progress(f"asking, {number} of 2: {len(given):,} of {len(requests):,} answers")


def _batches(requests: Sequence[Request], size: int) -> Iterable[Sequence[Request]]:
    return (requests[start : start + size] for start in range(0, len(requests), size))


def _take(
    completion: Completion, conditions: Mapping[str, ConditionRequests], given: dict[Key, Given]
) -> None:
    request = completion.request
    if completion.texts:
        reading, _ = next(iter(conditions[request.condition].readings(completion)))
        key = request.condition, request.question_id
        given[key] = Given(completion.texts[0], str(reading))


# --- the record -----------------------------------------------------------------------------------


def _record(
    report: Report,
    told: Manifest,
    asked: Asked,
    backend: str,
    args: Mapping[str, Any],
    sample: frozenset[str],
    seed: int,
    by: str,
) -> dict[str, Any]:
    keys = [key for key in asked.stored if key in asked.first and key in asked.second]
    if not keys:
        raise SafescaleError(f"{report.file}: the model answered nothing of the sample")
    known = [asked.prompts[key] for key in keys if asked.prompts[key][0] is not None]
    prompts_alike = sum(stored == now for stored, now in known)
    texts = _agreement(keys, asked, "text")
    responses = _agreement(keys, asked, "response")
    stored_files = (told.model.settings.get("model_args") or {}).get("files")
    here = args.get("pretrained") or args.get("model")
    path = path_of(str(here)) if here else None
    files = None if path is None else fingerprint_of(path)
    return {
        MARK: FORMAT,
        "root": report.root,
        "name": told.card.name,
        "demo": told.demo,
        "by": by,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": f"{OURS} {__version__}",
        "backend": backend,
        "model_args": public(dict(args)),
        "same_weights": None if None in (files, stored_files) else files == stored_files,
        "seed": seed,
        "items": sorted(sample),
        "answers": len(keys),
        "not_answered": len(asked.stored) - len(keys),
        "left_out": public(asked.left_out),
        "prompts": {"alike": prompts_alike, "of": len(known)},
        "texts": texts,
        "responses": responses,
        "repeated": not (texts["is_lower"] or responses["is_lower"])
        and prompts_alike == len(known),
        "differing": [
            {
                "condition": condition,
                "question_id": item,
                "stored": asked.stored[condition, item].response,
                "first": asked.first[condition, item].response,
                "second": asked.second[condition, item].response,
            }
            for condition, item in keys
            if asked.stored[condition, item].text != asked.first[condition, item].text
        ],
    }


def _agreement(keys: Sequence[Key], asked: Asked, what: str) -> dict[str, Any]:
    """How often the stored answer is the first that came back, how often the second is, and whether
    the stored one is so more rarely than chance explains."""
    with_first = [
        (
            getattr(asked.stored[key], what) == getattr(asked.first[key], what),
            getattr(asked.second[key], what) == getattr(asked.first[key], what),
        )
        for key in keys
    ]
    b = sum(engine and not stored for stored, engine in with_first)
    c = sum(stored and not engine for stored, engine in with_first)
    p = float(mcnemar_exact(b, c))
    unseen = 0  # the most stored answers that could be others without showing
    while float(mcnemar_exact(unseen + 1, c)) >= SIGNIFICANT or unseen + 1 <= c:
        unseen += 1
    return {
        "stored": _share(sum(stored for stored, _ in with_first), len(keys)),
        "engine": _share(sum(engine for _, engine in with_first), len(keys)),
        "p": p,
        "is_lower": b > c and p < SIGNIFICANT,
        "unseen": min(unseen, len(keys)),
    }


def _share(k: int, n: int) -> dict[str, Any]:
    low, high = (float(bound) for bound in clopper_pearson(k, n))
    return {"k": k, "n": n, "value": k / n, "lo": low, "hi": high}


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """A record into a file, with its checksum; OSError if it cannot be written."""
    with replaced(path) as unfinished:
        unfinished.write_bytes(document_of(record))


def read_record(path: Path) -> dict[str, Any]:
    """A record; SafescaleError where it is none, or not as it was written."""
    try:
        record, is_checked = read_document(read_bytes(path, MOST_RECORD))
    except InputError:
        raise
    except ValueError as error:
        raise SafescaleError(f"{path}: no record of a repeated sample ({error})") from None
    if record.get(MARK) != FORMAT or not is_checked:
        raise SafescaleError(
            f"{path}: no record of a repeated sample of format {FORMAT}, with its checksum"
        )
    return record

"""The files of the case browser, and which texts are in them. It knows no page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.command_line import said
from lm_eval_safescale.report.cases.index import Index
from lm_eval_safescale.report.cases.items import context_shards, item_shards
from lm_eval_safescale.report.cases.scripts import FOLDER, write_script
from lm_eval_safescale.report.cases.texts import answer_shards
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.report.report import Report, Texts

MOST_BYTES = 60_000_000
"""Of a report that holds all texts without being asked to."""


@dataclass(frozen=True)
class Cases:
    """The case browser as it was written."""

    texts: Texts
    """Which answers' texts it holds."""
    notes: tuple[str, ...]
    """Which texts are not in it, and why."""


def write_cases(report: Report, folder: Path, most: int = MOST_BYTES) -> Cases:
    """Write FOLDER/cases/.

    Parameters
    ----------
    folder
        Of the report; what stands in it counts for its size.
    most
        Bytes up to which all texts are stored where `report.texts` does not say which.

    Raises
    ------
    OSError, SafescaleError
        If it cannot be written, or the answers cannot be read.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    index = Index(report)
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    firsts = list[int]()
    for first, content in item_shards(index):
        before += write_script(folder, f"items-{len(firsts)}", content)
        firsts.append(first)
    texts: Texts = report.texts or "all"
    size = before + _write_answers(index, folder, texts, None if report.texts else most - before)
    notes = []
    if report.texts is None and size > most:
        texts = "errors"
        notes.append(
            f"All texts are more than {most // 1_000_000} MB: only those of errors are stored."
        )
        size = before + _write_answers(index, folder, texts, None)
    elif texts == "errors":
        notes.append("Only the texts of errors are stored, as was asked for.")
    elif texts == "none":
        notes.append("No texts of answers are stored, as was asked for.")
    contexts: dict[str, list[int]] = {}
    for condition, own in report.found.contexts.items() if texts != "none" else ():
        if condition not in report.conditions:
            continue
        written = list[tuple[int, str]]()
        for content_first, content in context_shards(own, report.study.items.ids):
            name = f"context-{report.conditions.index(condition)}-{len(written)}"
            size += write_script(folder, name, content)
            written.append((content_first, name))
        if report.texts == "all" or size <= most:
            contexts[condition] = [first for first, _ in written]
        else:
            for _, name in written:
                size -= (folder / FOLDER / f"{name}.js").stat().st_size
                (folder / FOLDER / f"{name}.js").unlink()
            notes.append(
                f"What was shown under {report.words(condition)} is too long for "
                f"{most // 1_000_000} MB, and is not stored."
            )
    more = {
        "texts": texts,
        "notes": [*notes, *_not_at_hand(report)],
        "shards": firsts,
        "contexts": contexts,
        "disputes": _disputes(report),
        "marks": f"safescale-disputes:{report.study.runs.about['dataset']['fingerprint']}",
    }
    write_script(folder, "index", index.content(more))
    return Cases(texts, tuple(notes))


def _write_answers(index: Index, folder: Path, texts: Texts, room: int | None) -> int:
    """The bytes that are written; it stops behind `room`."""
    place = {pair: number for number, pair in enumerate(index.pairs)}
    size = 0
    for pair, content in answer_shards(index, texts):
        size += write_script(folder, f"answers-{place[pair]}", content)
        if room is not None and size > room:
            break
    return size


def _not_at_hand(report: Report) -> Iterator[str]:
    if report.found.dataset is None:
        why = report.found.no_dataset
        yield "Texts of the items are not at hand" + (f": {said(why)}" if why else ".")
    for why in report.found.no_contexts:
        yield f"Contexts are not at hand: {said(why)}"
    about = report.study.runs.about
    items, of_items = len(report.study.items), about.get("dataset", {}).get("items")
    if of_items and items < of_items:
        yield f"{counted(items, 'item')} of {of_items} were asked."


def _disputes(report: Report) -> list[dict[str, Any]]:
    disputes = report.study.disputes
    return [] if disputes is None else list(disputes.as_dict()["items"])

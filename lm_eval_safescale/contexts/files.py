"""Contexts built ahead: a JSON lines file with a header that says what they were made of, and one
context a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lm_eval_safescale.checksums import LINE, is_whole, with_checksum
from lm_eval_safescale.contexts.imitation import imitations_in
from lm_eval_safescale.contexts.logged import context_of, entry_of, problem_of_header
from lm_eval_safescale.contexts.on_disk import Shelf
from lm_eval_safescale.datasets import DataError, Dataset, Problem, Record
from lm_eval_safescale.datasets.files import read_raw, records_of
from lm_eval_safescale.datasets.problems import has_errors
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.files import replaced
from lm_eval_safescale.inputs import BUFFER, InputError, opened
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.jsonlog import read_log
from lm_eval_safescale.records import FEWER_FOUND, NOTHING_FOUND, Context

FORMAT, WITHOUT_CHECKSUMS = 2, 1
MARK = "safescale_contexts"


@dataclass(frozen=True)
class ContextSet:
    """The contexts of one condition for a whole data set."""

    about: Mapping[str, Any]
    """What they were made of: condition, builder, retriever, corpus, data set, tokenizer and
    window."""
    contexts: Mapping[str, Context]
    """By question id."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why there is no context, for the items that the condition leaves out."""

    @property
    def condition(self) -> str:
        """The condition they are made for."""
        return str(self.about["condition"])

    def flagged_as(self, kind: str) -> dict[str, str]:
        """The excerpts of the contexts that have a flag of that kind, by question id; of each the
        first."""
        return {
            name: found[0]
            for name, context in self.contexts.items()
            if (found := [flag.excerpt for flag in context.flags if flag.kind == kind])
        }

    def summary(self) -> dict[str, Any]:
        """Tokens (least, mean, most), the means of all measures over the items they are scored for,
        and how many are flagged for what."""
        contexts = [replace(context, text="", passages=()) for context in self.contexts.values()]
        tokens = [context.tokens for context in contexts]
        names = dict.fromkeys(name for context in contexts for name in context.measures)
        scored = {
            name: [value for each in contexts if (value := each.measures.get(name)) is not None]
            for name in names
        }
        return {
            "tokens": {
                "least": min(tokens),
                "mean": sum(tokens) / len(tokens),
                "most": max(tokens),
            },
            "measures": {
                name: sum(values) / len(values) if values else None
                for name, values in scored.items()
            },
            "scored": {name: len(values) for name, values in scored.items()},
            "truncated": sum(context.truncated for context in contexts),
            "flagged": sum(bool(imitations_in(context)) for context in contexts),
            "nothing_found": len(self.flagged_as(NOTHING_FOUND)),
            "fewer_found": len(self.flagged_as(FEWER_FOUND)),
            "failed": len(self.failed),
        }


def write_contexts(path: Path, made: ContextSet) -> None:
    """Write a file in one step: it is there whole, or not at all.

    Raises
    ------
    SafescaleError
        If it cannot be written.
    """
    with writing(path), replaced(path) as unfinished, unfinished.open("wb") as file:
        file.write(_line({MARK: FORMAT, **made.about}))
        for question_id, context in made.contexts.items():
            file.write(
                _line({"question_id": question_id, "text": context.text, **context.as_dict()})
            )
        for question_id, reason in made.failed.items():
            file.write(_line({"question_id": question_id, "failed": reason}))


def _line(value: Mapping[str, Any]) -> bytes:
    return with_checksum(json.dumps(value, ensure_ascii=False).encode()) + b"\n"


def read_contexts(path: Path) -> ContextSet:
    """The contexts in a file.

    Raises
    ------
    DataError
        If it is no such file, of another version, half-written, or a line in it is not as it was
        written. Files of version 1 bear no checksums: there only texts can be told.
    """
    if not path.exists():
        raise DataError(str(path), [Problem("no such file; safescale contexts build makes one")])
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise DataError(
            str(path), [Problem("expected a .jsonl file, as safescale contexts build makes it")]
        )
    if (made := _undamaged(path)) is not None:
        return made
    raw = read_raw(path)
    records, problems = records_of(raw, path)
    if has_errors(problems) or not records:
        raise DataError(str(path), problems or [Problem("empty")])
    header, *rest = records
    problems += _problems_of_header(header, raw, path)
    contexts: dict[str, Context] = {}
    failed: dict[str, str] = {}
    for record in rest:
        name = str(record.fields.get("question_id"))
        if name in contexts or name in failed:
            problems.append(Problem("the item stands twice", line=record.line, item=name))
            continue
        if "failed" in record.fields:
            failed[name] = str(record.fields["failed"])
            continue
        try:
            context = context_of(record.fields)
            damaged = context.fingerprint != record.fields["fingerprint"]
        except ValueError as error:
            problems.append(Problem(f"not a context: {error}", line=record.line, item=name))
            continue
        if damaged:
            problems.append(
                Problem(
                    "the text is not as it was written (its fingerprint differs)",
                    line=record.line,
                    item=name,
                )
            )
        contexts[name] = context
    about = {name: value for name, value in header.fields.items() if name not in (MARK, LINE)}
    present = len(contexts.keys() | failed.keys())
    if (about.get("items") != present or not contexts) and not has_errors(problems):
        problems.append(
            Problem(
                f"{present} contexts, but the header says {about.get('items')}: half-written; "
                "build it again"
            )
        )
    if has_errors(problems):
        raise DataError(str(path), problems)
    return ContextSet(about, contexts, failed)


def _undamaged(path: Path) -> ContextSet | None:
    """The contexts of a file in which nothing is wrong, each read when it is asked for; None for
    any other file."""
    header: dict[str, Any] | None = None
    failed: dict[str, str] = {}
    end = 0
    try:
        with opened(path):  # that it may be read
            file = path.open("rb", BUFFER)
        shelf = Shelf(file, _context_in, path)
        for line in file:
            start, end, data = end, end + len(line), line.rstrip(b"\n")
            if header is None:
                header = decode_json(data) if is_whole(data) else {}
                if header.get(MARK) != FORMAT or problem_of_header(header) is not None:
                    return None
                continue
            name, context = _checked(data)
            if name in shelf or name in failed:
                return None
            if isinstance(context, str):
                failed[name] = context
            else:
                shelf.place(name, start, len(data))
    except (OSError, ValueError, InputError):
        return None
    if header is None or not shelf or header["items"] != len(shelf) + len(failed):
        return None
    return ContextSet(
        {name: value for name, value in header.items() if name not in (MARK, LINE)}, shelf, failed
    )


def _checked(line: bytes) -> tuple[str, Context | str]:
    """As `entry_of`; ValueError also where a line is not what its checksum was made of."""
    if not is_whole(line):
        raise ValueError("not as it was written")
    return entry_of(line)


def _context_in(line: bytes) -> Context:
    _, context = _checked(line)
    if isinstance(context, str):
        raise ValueError("no context")
    return context


def _damaged(raw: bytes) -> list[Problem]:
    """Lines that are not what their checksums were made of."""
    log = read_log(raw)
    lines = sorted([*log.damaged, *(line.number for line in log.lines if not line.is_checked)])
    return [
        Problem("not as it was written (its checksum differs); build it again", line=number)
        for number in lines
    ]


def _problems_of_header(header: Record, raw: bytes, path: Path) -> list[Problem]:
    if header.fields.get(MARK) not in (FORMAT, WITHOUT_CHECKSUMS):
        found = f"version {header.fields[MARK]!r}" if MARK in header.fields else "no header"
        raise DataError(
            str(path),
            [
                Problem(
                    f"{found}; expected contexts of version {FORMAT}, built by safescale contexts "
                    "build",
                    line=1,
                )
            ],
        )
    damaged = _damaged(raw) if header.fields[MARK] == FORMAT else []
    if (odd := problem_of_header(header.fields)) is None:
        return damaged
    field, why = odd
    return [
        *damaged,
        Problem(
            f"missing or damaged in the header ({why}); build it again",
            line=header.line,
            field=field,
        ),
    ]


def is_built_for(made: ContextSet, fingerprint: str) -> bool:
    """Whether contexts were built for the data set of this fingerprint."""
    return (made.about.get("dataset") or {}).get("fingerprint") == fingerprint


def check_belongs(made: ContextSet, dataset: Dataset, path: Path) -> None:
    """SafescaleError unless the contexts were built for this very data set."""
    built_for = made.about.get("dataset") or {}
    if not is_built_for(made, dataset.fingerprint):
        raise SafescaleError(
            f"{path}: built for the data set {built_for.get('name')} {built_for.get('version')}, "
            f"not for {dataset.name} {dataset.version} (their fingerprints differ); build it again "
            "for this one"
        )
    there = made.contexts.keys() | made.failed.keys()
    if missing := [item.question_id for item in dataset if item.question_id not in there]:
        raise SafescaleError(
            f"{path}: no context for {len(missing)} items, the first {missing[0]}; build it again"
        )

"""What reads the answers, as the settings ask for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lm_eval_safescale.assembly.lookup import find
from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.reading import READER_VERSION, STRICT, AnswerReader
from lm_eval_safescale.settings import Settings


def find_reader(settings: Settings, family: Family = RADSAFE) -> AnswerReader:
    """What reads the answers, tried on a few outputs, so that a broken one is found before a model
    is asked.

    Raises
    ------
    SafescaleError
        If there is no such reader, it fails, or the family reads its answers itself.
    """
    if not family.takes_readers:
        if settings.reader != STRICT.name:
            raise SafescaleError(
                f"reader: {settings.reader}: the family {family.name} reads its answers itself; "
                "leave it out"
            )
        return AnswerReader(
            STRICT.name,
            f"answers to {family.label}",
            lambda text, _: text,
            f"{family.name} {family.version}",
        )
    part = find("answer reader", settings, "reader")
    reader: AnswerReader = part.thing
    if part.is_ours:
        return reader
    version = f"{READER_VERSION}, {part.provided_by}"
    checked = AnswerReader(
        reader.name, reader.description, functools.partial(_read_letter, part), version
    )
    for text in ("", "A", "Answer: B", "I do not know."):
        checked.read(text, {"A": "Yes", "B": "No"})
    return checked


def _read_letter(part: Part, text: str, options: Mapping[str, str]) -> str | None:
    who = f"answer reader {part.name} ({part.provided_by})"
    try:
        letter = part.thing.read(text, options)
    except FAILURES as error:
        raise SafescaleError(
            f"{who} failed for the output {text[:80]!r}: {type(error).__name__}: {reason_of(error)}"
        ) from error
    if letter is not None and (not isinstance(letter, str) or letter not in options):
        raise SafescaleError(
            f"{who} gave {letter!r} for the output {text[:80]!r}; expected one of "
            f"{', '.join(options)}, or None"
        )
    return letter

"""What a file of contexts says, checked: its header, and a context as it was logged. It opens no
file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from lm_eval_safescale.records import Context, Flag, PassageRef

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class _Builder(msgspec.Struct):
    name: str
    settings: dict[str, Any]
    provided_by: str = ""


class _Dataset(msgspec.Struct):
    name: str
    version: str
    fingerprint: str


class _Corpus(msgspec.Struct):
    corpus: str
    articles: Count
    passages: Count
    size: Count
    overlap: Count
    tokenizer: str


class _Retriever(msgspec.Struct):
    retriever: str
    provided_by: str
    settings: dict[str, Any]


class _Model(msgspec.Struct):
    backend: str
    model_args: dict[str, Any] | None = None


class _Header(msgspec.Struct):
    condition: str
    builder: _Builder
    dataset: _Dataset
    items: Count
    tokenizer: str
    window: Count | None = None
    corpus: _Corpus | None = None
    retriever: _Retriever | None = None
    models: dict[str, _Model] = {}


class _Logged(msgspec.Struct):
    question_id: str
    text: str
    fingerprint: str
    builder: str
    tokens: Count
    tokenizer: str
    truncated: bool
    passages: list[PassageRef]
    flags: list[Flag]
    measures: dict[str, float | None]
    notes: dict[str, Any]


class _Entry(_Logged, forbid_unknown_fields=True):
    crc32: str


class _Failed(msgspec.Struct, forbid_unknown_fields=True):
    question_id: str
    failed: str
    crc32: str


_decode_entry, _decode_failed = (
    msgspec.json.Decoder(_Entry).decode,
    msgspec.json.Decoder(_Failed).decode,
)


def problem_of_header(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field of a header that lacks or is none, and what is wrong with it; None if all are
    there."""
    try:
        msgspec.convert(fields, _Header)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        named = re.search(r"\$\.(\w+)", str(error)) or re.search(r"field `(\w+)`", str(error))
        return named[1] if named else "", str(error)
    return None


def context_of(fields: Mapping[str, Any]) -> Context:
    """A context as it was logged; ValueError if something lacks, is of another kind, or is no text
    that a file could hold."""
    try:
        return _context(msgspec.convert(fields, _Logged))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def entry_of(line: bytes) -> tuple[str, Context | str]:
    """What a line of a file of version 2 says of an item: its id, and its context, or why it has
    none.

    Raises
    ------
    ValueError
        If it is not just as it is written, or the text is not the one of its fingerprint.
    """
    try:
        logged = _decode_entry(line)
    except (msgspec.DecodeError, RecursionError):
        try:
            failed = _decode_failed(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        return failed.question_id, failed.failed
    context = _context(logged)
    if context.fingerprint != logged.fingerprint:
        raise ValueError("the text is not as it was written")
    return logged.question_id, context


def _context(logged: _Logged) -> Context:
    return Context(
        logged.text, logged.builder, tuple(logged.passages), logged.tokens, logged.tokenizer,
        logged.truncated, tuple(logged.flags), logged.measures, logged.notes,
    )  # fmt: skip

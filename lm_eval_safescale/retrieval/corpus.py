"""A corpus: articles with an id, a title and a text, from a JSON lines file or a folder. It knows
nothing of passages or search.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.inputs import MAX_FILE_MB, InputError, most_bytes, opened, read_text
from lm_eval_safescale.json_text import decode_json

JSON_LINES, TEXTS = (".jsonl", ".ndjson"), (".md", ".markdown", ".txt")
TEXT_FIELDS = ("text", "content", "contents")
# half a surrogate pair comes from JSON escapes, and cannot be written
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
LONGEST_ARTICLE = 10_000_000
"""Characters. What is longer is a whole collection in one record, and would be one article to every
measure."""


@dataclass(frozen=True, slots=True)
class Article:
    """One document of a corpus."""

    id: str
    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text, joined: what passages are cut from (PROTOCOL §2)."""
        return f"{self.title}\n\n{self.text}" if self.title else self.text


@dataclass(frozen=True)
class Corpus:
    """Articles in the order of their ids *as strings*: the order of the file does not enter."""

    name: str
    articles: tuple[Article, ...]
    warnings: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, name: str, articles: Iterable[Article], warnings: Iterable[Problem] = ()) -> Corpus:
        """A corpus of `articles`, put into order."""
        return cls(name, tuple(sorted(articles, key=lambda article: article.id)), tuple(warnings))

    def __len__(self) -> int:
        return len(self.articles)

    def __iter__(self) -> Iterator[Article]:
        return iter(self.articles)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the ids, titles and texts of all articles in order."""
        digest = hashlib.sha256()
        for article in self.articles:
            digest.update(
                json.dumps([article.id, article.title, article.text], ensure_ascii=False).encode()
                + b"\n"
            )
        return digest.hexdigest()


def load_corpus(path: Path, *, name: str | None = None) -> Corpus:
    """A corpus from a JSON lines file or a folder of Markdown and text files, named after it unless
    told.

    Raises
    ------
    DataError
        With every problem found: unreadable or binary files, records without id or text, ids that
        stand twice, no articles.
    """
    problems: list[Problem] = []
    if path.is_dir():
        found = _read_folder(path, problems)
    elif path.suffix.lower() in JSON_LINES:
        found = _read_lines(path, problems)
    else:
        what = (
            "no such file or folder"
            if not path.exists()
            else f"unknown format {path.suffix or '(no suffix)'}"
        )
        expected = (
            f"expected a {' or '.join(JSON_LINES)} file, or a folder of {', '.join(TEXTS)} files"
        )
        raise DataError(str(path), [Problem(f"{what}; {expected}")])
    articles = list(_valid(found, problems))
    if not articles and not has_errors(problems):
        expected = f"; expected {', '.join(TEXTS)} files" if path.is_dir() else ""
        problems.append(Problem(f"no articles in it{expected}"))
    if has_errors(problems):
        raise DataError(str(path), problems)
    return Corpus.of(name or path.name, articles, problems)


@dataclass(frozen=True, slots=True)
class _Found:
    article: Article
    place: str
    problem: Callable[[str], Problem]


def _valid(found: Iterable[_Found], problems: list[Problem]) -> Iterator[Article]:
    places: dict[str, str] = {}
    for each in found:
        article = each.article
        if article.id in places:
            problems.append(each.problem(f"the id stands twice, first {places[article.id]}"))
            continue
        places[article.id] = each.place
        if not article.text.strip():
            problems.append(each.problem("empty text"))
        elif wrong := _NOT_TEXT.search(f"{article.id} {article.whole}"):
            problems.append(
                each.problem(
                    f"not text: it holds the character U+{ord(wrong[0]):04X}; expected UTF-8 text"
                )
            )
        elif len(article.text) > LONGEST_ARTICLE:
            problems.append(
                each.problem(
                    f"{len(article.text):,} characters; expected at most {LONGEST_ARTICLE:,}: "
                    "split it into its articles, or retrieval could not be told right from wrong"
                )
            )
        else:
            yield article


def _read_lines(path: Path, problems: list[Problem]) -> Iterator[_Found]:
    try:
        with opened(path) as file:
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    yield from _read_line(raw, number, problems)
    except InputError as error:
        problems.append(Problem(error.reason))


def _read_line(raw: bytes, number: int, problems: list[Problem]) -> Iterator[_Found]:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        problems.append(Problem("not UTF-8; expected one JSON object a line", line=number))
        return
    try:
        record = decode_json(text)
    except ValueError as error:
        torn = "" if raw.endswith(b"\n") else "half-written last line: "
        problems.append(Problem(f"{torn}not JSON: {error}", line=number))
        return
    if not isinstance(record, dict):
        problems.append(
            Problem(
                f"expected an object with id, title and text, found {type(record).__name__}",
                line=number,
            )
        )
        return
    article = _article(record, number, problems)
    if article is not None:
        yield _Found(
            article,
            f"in line {number}",
            lambda message: Problem(message, line=number, item=article.id),
        )


def _article(record: dict[str, Any], number: int, problems: list[Problem]) -> Article | None:
    field = next((name for name in TEXT_FIELDS if name in record), None)
    identity, title = record.get("id"), record.get("title", "")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity.strip():
        found = ", ".join(record) or "nothing"
        problems.append(
            Problem(
                f"expected a text or a whole number; the record has {found}",
                line=number,
                field="id",
            )
        )
    elif field is None or not isinstance(record[field], str):
        problems.append(
            Problem(
                f"expected text under one of {', '.join(TEXT_FIELDS)}",
                line=number,
                item=identity,
                field="text",
            )
        )
    elif not isinstance(title, str | None):
        problems.append(
            Problem(
                f"expected text, found {type(title).__name__}",
                line=number,
                item=identity,
                field="title",
            )
        )
    else:
        return Article(identity.strip(), (title or "").strip(), record[field])
    return None


def _read_folder(folder: Path, problems: list[Problem]) -> Iterator[_Found]:
    paths = _walk(folder, problems)
    size = sum(path.stat().st_size for path in paths if path.suffix.lower() in TEXTS)
    if size > most_bytes():
        problems.append(
            Problem(
                f"{size / 1e6:,.1f} MB; expected at most {most_bytes() / 1e6:,g} MB ({MAX_FILE_MB} "
                "allows more)"
            )
        )
        return
    for path in paths:
        name = _below(folder, path)
        if path.suffix.lower() not in TEXTS:
            problems.append(
                Problem(
                    f"left out: only {', '.join(TEXTS)} files are read", item=name, is_error=False
                )
            )
            continue
        try:
            text = read_text(path)
        except InputError as error:
            problems.append(
                Problem(
                    error.reason if error.line is None else f"{error.reason}, or remove it",
                    item=name,
                )
            )
            continue
        article = _titled(name, text, markdown=path.suffix.lower() != ".txt")
        yield _Found(article, f"as {name}", lambda message, name=name: Problem(message, item=name))  # type: ignore[misc]


def _walk(folder: Path, problems: list[Problem]) -> list[Path]:
    """All files below, but hidden ones; what is passed over is said."""

    def unreadable(error: OSError) -> None:
        problems.append(
            Problem(f"cannot be read ({error.strerror})", item=_below(folder, error.filename))
        )

    found = []
    for place, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in folders):
            if path.is_symlink():
                message = "left out: a link to a folder is not followed"
                problems.append(Problem(message, item=_below(folder, path), is_error=False))
        found += [Path(place, name) for name in files if not name.startswith(".")]
    for path in found:
        if path.exists() and not path.is_file():
            message = "left out: a pipe, a socket or a device; only regular files are read"
            problems.append(Problem(message, item=_below(folder, path), is_error=False))
    return sorted(path for path in found if path.is_file())


def _below(folder: Path, path: str | Path) -> str:
    return Path(path).relative_to(folder).as_posix()


def _titled(name: str, text: str, *, markdown: bool) -> Article:
    """An article whose title is the first line, where that is a Markdown heading, else the file's
    name."""
    first, _, rest = text.lstrip().partition("\n")
    if markdown and first.startswith("# ") and rest.strip():
        return Article(name, first.removeprefix("# ").strip(), rest.strip())
    return Article(name, Path(name).stem, text.strip())

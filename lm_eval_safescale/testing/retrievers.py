"""The contract of a retriever, checked on a small corpus in a temporary folder."""

from __future__ import annotations

import json
import math
import pickletools
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lm_eval_safescale.assembly import make_index
from lm_eval_safescale.plugins import Part, bind_settings, plugins
from lm_eval_safescale.retrieval import (
    WORDS,
    Corpus,
    Hit,
    Index,
    Passages,
    Retriever,
    Store,
    load_tokenizer,
    make_passages,
)
from lm_eval_safescale.retrieval.store import ABOUT, check
from lm_eval_safescale.testing.clauses import Clauses, registered
from lm_eval_safescale.testing.sample import (
    CORPUS,
    ITEMS,
    ONE_ARTICLE,
    PASSAGE_TOKENS,
    UNKNOWN_WORDS,
)

PLAIN = [item.question for item in ITEMS]
ODD = {
    "words that no passage holds": UNKNOWN_WORDS,
    "an empty query": "",
    "a query of blanks": " \t\n",
    "a query of marks": """+-&|!(){}[]^"~*?:\\/ AND OR NOT title:x""",
    "a query of one stop word": "the",
    "a query in other scripts": "肺水肿 Œdème großes Herz 🫁 ʻ \u202eabc",
    "a query of 10,000 characters": ("pleural effusion on ultrasound " * 400)[:10_000],
}
PICKLED = (".pkl", ".pickle", ".joblib", ".dill")


class _Interrupted(KeyboardInterrupt):
    """What stops a build in the middle, as a user or a scheduler would."""


@dataclass(frozen=True)
class _Torn(Passages):
    """Passages of which only the first half can be read."""

    stopped_at: list[int] = field(default_factory=list)

    def text(self, number: int) -> str:
        if number >= len(self) // 2:
            self.stopped_at.append(number)
            raise _Interrupted
        return super().text(number)

    def texts(self) -> Iterator[str]:
        return (self.text(number) for number in range(len(self)))


def check_retriever(
    retriever: type[Retriever], *, settings: Mapping[str, Any] | None = None
) -> None:
    """Build, open and search an index as the package would.

    Raises
    ------
    ContractError
        Naming the clause that the retriever breaks (`docs/plugins.md`).
    """
    part, clauses = registered("retriever", retriever)
    # as installed, if it is
    part = next((each for each in plugins().all("retriever") if each.thing is retriever), part)
    with clauses.holds("its settings can be set and are JSON values"):
        json.dumps(bind_settings(retriever, settings or {}, "it"))
    with TemporaryDirectory(prefix="safescale-check-", ignore_cleanup_errors=True) as folder:
        store = Store(Path(folder))
        passages = _passages(CORPUS, store)
        with clauses.holds("builds and opens an index"):
            index = make_index(part, settings or {}, passages, store)
        place = store.root / index.about["index"]
        _check_no_pickle(clauses, place)
        _check_searching(clauses, index)
        found = index.hits(PLAIN, 5)
        _check_one_passage(clauses, part, settings or {}, store)
        with clauses.holds("two indexes can be open at once"):
            beside = index.hits(PLAIN, 5)
        _check_same(clauses, "two indexes can be open at once", found, beside)
        with clauses.holds("opening and searching leave the files of the index as they were built"):
            check(place, json.loads((place / ABOUT).read_text(encoding="utf-8"))["key"])
        with clauses.holds("a new object opens the index that is there"):
            again = make_index(part, settings or {}, passages, store)
            reopened = again.hits(PLAIN, 5)
        _check_same(
            clauses, "a new object gives the same hits from the same index", found, reopened
        )
    with TemporaryDirectory(prefix="safescale-check-", ignore_cleanup_errors=True) as folder:
        _check_interrupted(clauses, part, settings or {}, Store(Path(folder)), found)


def _passages(corpus: Corpus, store: Store) -> Passages:
    return make_passages(corpus, load_tokenizer(WORDS), size=PASSAGE_TOKENS, overlap=0, store=store)


def _check_no_pickle(clauses: Clauses, place: Path) -> None:
    for path in place.rglob("*"):
        if path.is_file():
            clauses.require(
                not _is_pickle(path), "an index holds no pickle", path.relative_to(place).as_posix()
            )


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in PICKLED:
        return True
    if path.suffix.lower() in (".npy", ".npz"):
        try:
            loaded = np.load(path, allow_pickle=False)
            for name in getattr(loaded, "files", ()):
                loaded[name]
        except ValueError:
            return True
        return False
    if zipfile.is_zipfile(path):  # as torch saves
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(PICKLED) for name in archive.namelist())
    content = path.read_bytes()
    if not (content[:1] == b"\x80" and content.endswith(b".")):
        return False
    try:
        return bool(list(pickletools.genops(content)))
    except Exception:  # what begins like a pickle and is none
        return False


def _check_searching(clauses: Clauses, index: Index) -> None:
    n = len(index.passages)
    with clauses.holds(
        "each query gets at most k known passages, each once, with finite scores, best first"
    ):
        hits = {k: index.hits(PLAIN, k) for k in (1, 3, n - 1, n)}
    for k in (1, 3, n - 1):
        first = [found[:k] for found in hits[n]]
        _check_same(clauses, f"the first {k} of {n} hits are the hits for k = {k}", first, hits[k])
    for what, query in ODD.items():
        with clauses.holds(f"answers {what}"):
            index.hits([query], 3)
            index.hits([query], n)
    _check_not_filled_up(clauses, index)
    queries = [*PLAIN, *ODD.values()]
    with clauses.holds("answers many queries at once"):
        together = index.hits(queries, 5)
        alone = [index.hits([query], 5)[0] for query in queries]
    _check_same(clauses, "a query gets the same hits alone and beside others", alone, together)
    _check_same(
        clauses,
        "a query gets the same hits when it is asked again",
        together,
        index.hits(queries, 5),
    )
    backwards = index.hits(queries[::-1], 5)[::-1]
    _check_same(
        clauses, "a query gets the same hits whatever the order of the queries", together, backwards
    )
    texts = list(index.passages.texts())
    for number, (found,) in enumerate(zip(index.hits(texts, 1), strict=True)):
        clauses.require(
            [hit.number for hit in found] == [number],
            "the exact text of a passage finds that passage first",
            f"{_shown(found)} for the text of passage {number} ({texts[number][:60]!r})",
        )


def _check_not_filled_up(clauses: Clauses, index: Index) -> None:
    """What matches nothing may come nearest to something, but not equally near to everything."""
    for query in (UNKNOWN_WORDS, ""):
        (found,) = index.hits([query], 5)
        clauses.require(
            len(found) < 2 or len({hit.score for hit in found}) > 1,
            "a query that matches nothing finds nothing: passages that do not match are left out",
            f"{_shown(found)} for the query {query!r}",
        )


def _check_one_passage(
    clauses: Clauses, part: Part, settings: Mapping[str, Any], store: Store
) -> None:
    with clauses.holds("works with a corpus of one passage"):
        index = make_index(part, settings, _passages(ONE_ARTICLE, store), store)
        index.hits([*PLAIN, *ODD.values()], 3)


def _check_interrupted(
    clauses: Clauses,
    part: Part,
    settings: Mapping[str, Any],
    store: Store,
    found: Sequence[Sequence[Hit]],
) -> None:
    """A build that is stopped half-way through the passages, and the one after it, which finds what
    was left in `scratch`."""
    passages = _passages(CORPUS, store)
    for name, args in part.thing(**bind_settings(part.thing, settings, "it")).needs().items():
        make_index(plugins().find("retriever", name, near=part.package), args, passages, store)
    before, torn = set(store.root.iterdir()), _Torn(passages.corpus, passages.cut, passages.bounds)
    with suppress(_Interrupted), clauses.holds("an interrupted build stops"):
        make_index(part, settings, torn, store)
    left = {
        path.name for path in set(store.root.iterdir()) - before if not path.name.startswith(".")
    }
    # one that reads no passage, because others do it for it, is built all the same
    clauses.require(
        not (left and torn.stopped_at), "an interrupted build leaves no index", ", ".join(left)
    )
    with clauses.holds("an index is built after an interrupted build"):
        index = make_index(part, settings, passages, store)
        whole = index.hits(PLAIN, 5)
    _check_same(
        clauses, "an index built after an interrupted build gives the same hits", found, whole
    )


def _check_same(
    clauses: Clauses, clause: str, left: Sequence[Sequence[Hit]], right: Sequence[Sequence[Hit]]
) -> None:
    """The same passages in the same order; scores up to rounding, which depends on the size of a
    batch."""
    for one, other in zip(left, right, strict=True):
        same = [hit.number for hit in one] == [hit.number for hit in other] and all(
            math.isclose(a.score, b.score, rel_tol=1e-4, abs_tol=1e-5)
            for a, b in zip(one, other, strict=True)
        )
        clauses.require(same, clause, f"{_shown(one)} and {_shown(other)}")


def _shown(hits: Sequence[Hit]) -> str:
    return "[" + ", ".join(f"{hit.number} ({hit.score:.4g})" for hit in hits[:5]) + "]"

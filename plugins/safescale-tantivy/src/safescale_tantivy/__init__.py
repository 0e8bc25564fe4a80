"""BM25 by tantivy, a full-text search engine. It knows passages and queries, not questions or
models.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.retrieval import Hit, Passages, Retriever

TEXT, NUMBER, ANALYZER = "text", "number", "safescale"
LONGEST_WORD = 40
MEMORY = 128_000_000
"""Bytes that a build may use."""
LANGUAGES = (
    "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian",
    "norwegian", "portuguese", "russian", "spanish", "swedish",
)  # fmt: skip
"""Those of which the engine knows both the stop words and the endings."""


class Tantivy(Retriever):
    """BM25 (k1 = 1.2, b = 0.75) over lower-case words. A query is a bag of words, never query
    syntax.

    Parameters
    ----------
    language
        Whose stop words are left out and whose endings are cut off; None for every word as it is.
    """

    name = "tantivy"
    description = "stemmed words (BM25), by the search engine tantivy"
    # another release may write another index, or score otherwise
    version = f"2 on tantivy {version('tantivy')}"

    def __init__(self, language: str | None = "english") -> None:
        if language is not None and language not in LANGUAGES:
            raise ValueError(
                f"language = {language!r}; expected None or one of {', '.join(LANGUAGES)}"
            )
        self.language = language

    # it takes seconds
    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:  # noqa: ARG002
        """Write the passages' words and numbers; the texts themselves stay in the corpus."""
        import tantivy

        schema = tantivy.SchemaBuilder()
        schema.add_text_field(TEXT, tokenizer_name=ANALYZER, index_option="freq")
        schema.add_integer_field(NUMBER, fast=True)
        index = tantivy.Index(schema.build(), path=str(folder))
        index.register_tokenizer(ANALYZER, self._analyzer())
        # more threads would spread the passages differently each time
        writer = index.writer(MEMORY, num_threads=1)
        for number, text in enumerate(passages.texts()):
            writer.add_document(tantivy.Document(**{TEXT: _printable(text), NUMBER: number}))
        writer.commit()
        writer.wait_merging_threads()
        for lock in folder.glob(".tantivy-*.lock"):
            lock.unlink()

    def open(self, passages: Passages, folder: Path) -> None:
        """Memory-map the index.

        The engine puts a lock file beside the files it opens. It is shown links to them, so that
        the index stays as it was built.
        """
        import tantivy

        # the engine's own thread may still put its lock there as the folder goes, on a loaded
        # machine
        with tempfile.TemporaryDirectory(
            prefix="safescale-tantivy-", ignore_cleanup_errors=True
        ) as links:
            for path in folder.iterdir():
                (Path(links) / path.name).symlink_to(path.resolve())
            index = tantivy.Index.open(links)
            index.config_reader(reload_policy="manual")
            self._searcher: Any = index.searcher()
        self._schema, self._words, self._n = index.schema, self._analyzer().analyze, len(passages)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best of the passages that hold a word of the query, among equals the first; fewer,
        or none, where no more do."""
        return [self._matching(query, k)[:k] for query in queries]

    def _matching(self, query: str, k: int) -> list[Hit]:
        """At least the k best passages with a word of the query, and all that score as the last of
        them."""
        import tantivy

        words = dict.fromkeys(self._words(_printable(query)))
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, TEXT, word))
            for word in words
        ]
        if not terms:
            return []
        limit = k
        while True:
            limit = min(2 * limit, self._n)
            # With `count` every match is scored in full, however small the limit, so that no score
            # can depend on it.
            found = self._searcher.search(
                tantivy.Query.boolean_query(terms), limit, count=True
            ).hits
            if limit == self._n or len(found) < limit or found[-1][0] < found[k - 1][0]:
                break
        numbers = self._searcher.fast_field_values(NUMBER, [address for _, address in found])
        hits = [Hit(number, score) for number, (score, _) in zip(numbers, found, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.number))

    def _analyzer(self) -> Any:
        """What makes words of a text, the same for passages and queries."""
        from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

        filters = [Filter.remove_long(LONGEST_WORD), Filter.lowercase()]
        if self.language is not None:
            filters += [Filter.stopword(self.language), Filter.stemmer(self.language)]
        analyzer = TextAnalyzerBuilder(Tokenizer.simple())
        for each in filters:
            analyzer = analyzer.filter(each)
        return analyzer.build()


def _printable(text: str) -> str:
    """The text without half characters (lone surrogates), which the engine cannot take."""
    return text.encode("utf-8", "replace").decode()


@hookimpl
def safescale_register_retrievers(register: Callable[[type[Retriever]], None]) -> None:
    """One retriever."""
    register(Tantivy)

"""A retriever: the passages that share most words with the query."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.retrieval import Hit, Passages, Retriever, best


def words(text: str, shortest: int) -> set[str]:
    """The different words of a text."""
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) >= shortest}


class PluginName(Retriever):
    """Jaccard similarity of the words of query and passage: shared words over all words of both."""

    name = "plugin_name"
    description = "passages by the words that they share with the query"
    version = "1"  # raise it when the same passages and settings would give other hits

    def __init__(self, shortest: int = 2) -> None:  # every parameter is a setting: retriever_args
        self.shortest = shortest

    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:
        """Write the words of every passage."""
        found = [sorted(words(text, self.shortest)) for text in passages.texts()]
        (folder / "words.json").write_text(json.dumps(found), encoding="utf-8")

    def open(self, passages: Passages, folder: Path) -> None:
        """Read them."""
        self.words = [
            set(each) for each in json.loads((folder / "words.json").read_text(encoding="utf-8"))
        ]

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k most similar passages for each query; fewer, or none, where no more share a word
        with it."""
        # a score of 0: no word in common, so not found
        return [best(self.scores(words(query, self.shortest)), k, above=0) for query in queries]

    def scores(self, query: set[str]) -> np.ndarray:
        """Of every passage."""
        return np.array([len(query & each) / max(1, len(query | each)) for each in self.words])


PART = PluginName


@hookimpl
def safescale_register_retrievers(register):
    """Called once."""
    register(PART)

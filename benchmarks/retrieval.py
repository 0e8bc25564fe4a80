"""Seconds and memory of retrieval by `bm25`, against rank_bm25 and tantivy on the same passages,
and of max context.

The corpus is synthetic: words drawn by Zipf's law, articles of ten passages of 300 words. Needs
`pip install rank_bm25 tantivy`.

    python benchmarks/retrieval.py                   # 15,000 and 150,000 passages, then max context
    python benchmarks/retrieval.py 15000             # one size
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VOCABULARY, WORDS, TOP = 60_000, 2520, 10
QUERIES, QUERY_WORDS = 200, 25
PEER_QUERIES = 10  # rank_bm25 takes seconds for each


def draw(rng: np.random.Generator, shape: int | tuple[int, int]) -> np.ndarray:
    """Word numbers by Zipf's law with the common words of English prose: about half of a text are
    the 300 commonest."""
    return np.minimum(rng.zipf(1.25, shape), VOCABULARY)


def write_corpus(path: Path, passages: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(passages // 10):
            text = " ".join(f"word{n}" for n in draw(rng, WORDS))
            file.write(json.dumps({"id": f"a{number:06d}", "title": "", "text": text}) + "\n")


def queries() -> list[str]:
    return [
        " ".join(f"word{n}" for n in row)
        for row in draw(np.random.default_rng(1), (QUERIES, QUERY_WORDS))
    ]


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def opened(path: Path):
    from lm_eval_safescale.retrieval import Store, WordTokenizer, load_corpus, make_passages

    store = Store(path.parent / f"{path.stem}-store")
    corpus = load_corpus(path)
    return make_passages(corpus, WordTokenizer(), size=300, overlap=50, store=store), store


def ours(path: Path) -> dict[str, float]:
    """Read the corpus, cut it, index it and write the index; then search, from the memory-mapped
    folder."""
    import bm25s  # noqa: F401  (imports are not measured)

    from lm_eval_safescale.retrieval import BM25, open_index

    start = time.perf_counter()
    passages, store = opened(path)
    index = open_index(BM25(), passages, store, settings={}, provided_by="benchmark")
    build = time.perf_counter() - start
    start = time.perf_counter()
    index.search(queries(), TOP)
    return {
        "build": build,
        "query": (time.perf_counter() - start) / QUERIES,
        "peak": peak(),
        "n": len(passages),
    }


def reopened(path: Path) -> dict[str, float]:
    """As `ours`, with everything in the store already: what a run pays."""
    return ours(path)


def rank_bm25(path: Path) -> dict[str, float]:
    import re

    from rank_bm25 import BM25Okapi

    start = time.perf_counter()
    passages, _ = opened(path)
    split = re.compile(r"\b\w\w+\b").findall
    index = BM25Okapi([split(text.lower()) for text in passages.texts()])
    build = time.perf_counter() - start
    start = time.perf_counter()
    for query in queries()[:PEER_QUERIES]:
        np.argsort(-index.get_scores(split(query)), kind="stable")[:TOP]
    return {
        "build": build,
        "query": (time.perf_counter() - start) / PEER_QUERIES,
        "peak": peak(),
        "n": len(passages),
    }


def tantivy(path: Path) -> dict[str, float]:
    import tantivy as engine

    start = time.perf_counter()
    passages, store = opened(path)
    schema = (
        engine.SchemaBuilder()
        .add_text_field("body", tokenizer_name="default")
        .add_unsigned_field("n", stored=True)
        .build()
    )
    folder = store.root / "tantivy"
    folder.mkdir()
    index = engine.Index(schema, path=str(folder))
    writer = index.writer(num_threads=1)
    for number, text in enumerate(passages.texts()):
        writer.add_document(engine.Document(body=text, n=number))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    build = time.perf_counter() - start
    searcher = index.searcher()
    start = time.perf_counter()
    for query in queries():
        hits = searcher.search(index.parse_query(query, ["body"]), TOP).hits
        [searcher.doc(address)["n"] for _, address in hits]
    return {
        "build": build,
        "query": (time.perf_counter() - start) / QUERIES,
        "peak": peak(),
        "n": len(passages),
    }


def max_context(path: Path) -> dict[str, float]:
    """Contexts of 96,000 tokens for 200 questions, counted by words."""
    from lm_eval_safescale.assembly import contexts_of
    from lm_eval_safescale.datasets import Dataset
    from lm_eval_safescale.plugins import plugins
    from lm_eval_safescale.records import Choice
    from lm_eval_safescale.settings import Settings

    items = [
        Choice(str(n), query, {"A": "yes", "B": "no"}, "A") for n, query in enumerate(queries())
    ]
    settings = Settings(
        corpus_path=path, context_tokenizer="words", index_dir=path.parent / f"{path.stem}-store"
    )
    start = time.perf_counter()
    made = contexts_of(
        plugins().find("condition", "context_100k"), Dataset.of("synthetic", "1", items), settings
    )
    seconds = time.perf_counter() - start
    assert made is not None
    return {
        "build": seconds,
        "n": len(made.contexts),
        "tokens": made.summary()["tokens"]["mean"],
        "peak": peak(),
    }


def measured(function, path: Path) -> dict[str, float]:
    # a process each, so that peaks do not mix
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (path,))


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or [15_000, 150_000]
    print(
        "| passages | engine | read, cut, index, s | peak MB | ms a query | queries: times as fast "
        "as rank_bm25 |"
    )
    print("|---:|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / f"{size}.jsonl"
            write_corpus(path, size)
            found = {
                kind.__name__: measured(kind, path) for kind in (ours, reopened, tantivy, rank_bm25)
            }
            for name, row in found.items():
                times = found["rank_bm25"]["query"] / row["query"]
                label = {"ours": "bm25 (ours)", "reopened": "bm25, index there already"}.get(
                    name, name
                )
                print(
                    f"| {row['n']:,} | {label} | {row['build']:.1f} | {row['peak']:,.0f} | "
                    f"{1000 * row['query']:.2f} | {times:,.1f} |"
                )
        print("\n| max context: passages in the corpus | questions x mean tokens | s | peak MB |")
        print("|---:|---:|---:|---:|")
        for size in sizes:
            row = measured(max_context, Path(folder) / f"{size}.jsonl")
            print(
                f"| {size:,} | {row['n']} x {row['tokens']:,.0f} | {row['build']:.1f} | "
                f"{row['peak']:,.0f} |"
            )


if __name__ == "__main__":
    main()

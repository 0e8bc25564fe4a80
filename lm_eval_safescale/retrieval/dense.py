"""Dense retrieval: a sentence-transformers encoder, and FAISS's exact inner-product search (PROTOCOL §2)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever

DEFAULT_MODEL = "BAAI/bge-large-en-v1.5"
SHARD = 1024
"""Passages encoded between two saves: what an interruption costs."""
DIGITS = 6
"""Scores are rounded to this many digits: what lies beyond depends on the other queries of the batch."""

Vectors = npt.NDArray[np.float32]


class Dense(Retriever):
    """L2-normalised embeddings, searched exactly: the score is the cosine similarity, in [-1, 1]."""

    name = "dense"
    description = f"embeddings ({DEFAULT_MODEL}, or any sentence-transformers model), by FAISS; extra [dense]"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        query_prefix: str = "",
        batch_size: int = 32,
        device: str | None = None,
    ) -> None:
        self.model, self.revision, self.query_prefix = model, revision, query_prefix
        self.batch_size, self.device = batch_size, device
        self._encoder: Any = None

    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:
        """Encode all passages, a shard at a time; shards that an interrupted build left are not encoded again."""
        from tqdm.auto import tqdm

        texts, n = passages.texts(), len(passages)
        starts = range(0, n, SHARD)
        vectors: Any = None
        for start in tqdm(starts, desc=f"encoding {n} passages", unit="shard", disable=len(starts) == 1):
            shard = self._shard(scratch / f"{start}.npy", list(islice(texts, SHARD)))
            if vectors is None:
                shape = (n, shard.shape[1])
                vectors = np.lib.format.open_memmap(folder / "embeddings.npy", mode="w+", dtype=np.float32, shape=shape)
            vectors[start : start + len(shard)] = shard
        vectors.flush()

    def _shard(self, path: Path, texts: list[str]) -> Vectors:
        if path.is_file():
            done: Vectors = np.load(path, allow_pickle=False)  # written in one step: it is whole, or not there
            return done
        vectors = self._encode(texts)
        try:
            partial = path.with_suffix(f".{uuid.uuid4().hex}")
            with partial.open("wb") as file:
                np.save(file, vectors, allow_pickle=False)
            partial.rename(path)
        except OSError:  # another process finished first and cleared the folder, or there is no room for a safety copy
            pass
        return vectors

    def open(self, passages: Passages, folder: Path) -> None:  # noqa: ARG002
        """Memory-map the embeddings."""
        self._vectors: Vectors = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k passages of the highest inner product; among equals the lower number."""
        faiss = _import("faiss", "faiss-cpu")
        wanted = self._encode([self.query_prefix + query for query in queries])
        n = len(self._vectors)
        depth = min(n, k + 1)
        while True:
            scores, numbers = faiss.knn(wanted, self._vectors, depth, metric=faiss.METRIC_INNER_PRODUCT)
            scores = np.round(scores, DIGITS)
            if depth == n or bool((scores[:, depth - 1] < scores[:, k - 1]).all()):
                break  # no passage beyond the depth can be as good as the k-th
            depth = min(n, 2 * depth)
        return [_ordered(*row, k) for row in zip(scores, numbers, strict=True)]

    def _load_encoder(self) -> Any:
        if self._encoder is None:
            library = _import("sentence_transformers", "sentence-transformers")
            try:
                self._encoder = library.SentenceTransformer(self.model, revision=self.revision, device=self.device)
            except Exception as error:  # the hub's, the model's and OS errors alike
                raise SafescaleError(
                    f"the encoder {self.model!r} is neither on this machine nor reachable ({reason_of(error)}); name a model folder: "
                    '--metadata \'{"retriever_args": {"model": "FOLDER"}}\', or choose another retriever, for example bm25'
                ) from None
        return self._encoder

    def _encode(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._load_encoder().encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise ValueError(f"the encoder {self.model!r} gave embeddings that are not finite numbers")
        return vectors


def _ordered(scores: Vectors, numbers: npt.NDArray[np.int64], k: int) -> list[Hit]:
    order = np.lexsort((numbers, -scores))[:k]
    return [Hit(int(numbers[i]), float(scores[i])) for i in order]


def _import(module: str, distribution: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SafescaleError(
            f"dense retrieval needs {distribution} ({reason_of(error)}): pip install 'lm-eval-safescale[dense]'"
        ) from None

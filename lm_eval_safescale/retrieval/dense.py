"""Dense retrieval: a sentence-transformers encoder, and FAISS's exact inner-product search
(PROTOCOL §2).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_eval_safescale.errors import SafescaleError, SettingsHint, reason_of
from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever

DEFAULT_MODEL = "BAAI/bge-large-en-v1.5"
SHARD = 1024
"""Passages encoded between two saves: what an interruption costs."""
DIGITS = 6
"""Scores are rounded to this many digits: what lies beyond depends on the other queries of the
batch."""

SAME = 0.999
"""Least cosine between two embeddings of one text by one model, on whatever device."""
EMBEDDINGS = "embeddings.npy"
LONGER = "longer.json"
"""How many passages are longer than what the encoder reads of a text, in its own tokens."""

Vectors = npt.NDArray[np.float32]


class Dense(Retriever):
    """L2-normalised embeddings, searched exactly: the score is the cosine similarity, in [-1,
    1]."""

    name = "dense"
    description = (
        f"embeddings ({DEFAULT_MODEL}, or any sentence-transformers model), by FAISS; extra [dense]"
    )

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
        """Encode all passages, a shard at a time; shards that an interrupted build left are not
        encoded again."""
        from tqdm.auto import tqdm

        texts, n = passages.texts(), len(passages)
        starts = range(0, n, SHARD)
        # Written, not mapped: a full disk is then an error, not the end of the process.
        with (folder / EMBEDDINGS).open("wb") as file:
            for start in tqdm(
                starts, desc=f"encoding {n} passages", unit="shard", disable=len(starts) == 1
            ):
                shard = self._shard(scratch / f"{start}.npy", list(islice(texts, SHARD)))
                if start == 0:
                    header = {
                        "descr": shard.dtype.str,
                        "fortran_order": False,
                        "shape": (n, shard.shape[1]),
                    }
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(shard.tobytes())
        if longer := self._longer(passages):
            (folder / LONGER).write_text(json.dumps(longer), encoding="utf-8")

    def _longer(self, passages: Passages) -> dict[str, int]:
        """How many passages the encoder cuts, and to how many tokens; empty for none, or where it
        does not say."""
        encoder = self._load_encoder()
        tokenizer: Any = getattr(encoder, "tokenizer", None)
        # not a Hugging Face tokenizer: static embeddings have no limit
        if not hasattr(tokenizer, "model_max_length"):
            return {}
        limit = getattr(encoder, "max_seq_length", None) or tokenizer.model_max_length
        texts, count = passages.texts(), 0
        while batch := list(islice(texts, SHARD)):
            tokens = tokenizer(batch, truncation=False, padding=False, verbose=False)["input_ids"]
            count += sum(len(each) > limit for each in tokens)
        return {"passages": count, "limit": limit} if count else {}

    def _shard(self, path: Path, texts: list[str]) -> Vectors:
        try:
            done: Vectors = np.load(path, allow_pickle=False)
            return done
        except (OSError, ValueError, EOFError):  # not there, or what a power failure left of it
            pass
        vectors = self._encode(texts)
        try:
            partial = path.with_suffix(f".{uuid.uuid4().hex}")
            with partial.open("wb") as file:
                np.save(file, vectors, allow_pickle=False)
            partial.rename(path)
        except OSError:
            # another process finished first and cleared the folder, or there is no room for a
            # safety copy
            pass
        return vectors

    def open(self, passages: Passages, folder: Path) -> None:
        """Memory-map the embeddings."""
        self._vectors: Vectors = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        self._unchecked: tuple[str, Path] | None = passages.text(0), folder
        if (folder / LONGER).is_file():
            longer = json.loads((folder / LONGER).read_text(encoding="utf-8"))
            self.warnings = (
                (
                    f"dense: {longer['passages']:,} of {len(passages):,} passages of the corpus "
                    f"{passages.corpus.name!r} are longer than the {longer['limit']:,} tokens that "
                    f"the encoder {self.model!r} reads, and found by their beginning alone; lower "
                    f"chunk_tokens (now {passages.cut['size']}) to search all of their text"
                ),
            )

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k passages of the highest inner product, among equals the lower number; none for a
        query that the encoder makes nothing of.

        Nearest is not near: whatever else a query says, k passages are found, and only their scores
        tell how well they match.
        """
        faiss = _import("faiss", "faiss-cpu")
        self._check_encoder()
        wanted = self._encode([self.query_prefix + query for query in queries])
        n = len(self._vectors)
        depth = min(n, k + 1)
        while True:
            scores, numbers = faiss.knn(
                wanted, self._vectors, depth, metric=faiss.METRIC_INNER_PRODUCT
            )
            scores = np.round(scores, DIGITS)
            if depth == n or bool((scores[:, depth - 1] < scores[:, k - 1]).all()):
                break  # no passage beyond the depth can be as good as the k-th
            depth = min(n, 2 * depth)
        # An encoder of static embeddings gives zeros for words that it does not know: nothing is
        # near to them.
        return [
            _ordered(scores[i], numbers[i], k) if wanted[i].any() else []
            for i in range(len(queries))
        ]

    def _check_encoder(self) -> None:
        """That the model still is what encoded the passages: what stands in a folder, or at the
        hub, may change under its name."""
        if self._unchecked is None:
            return
        text, folder = self._unchecked
        now, then = self._encode([text])[0], self._vectors[0]
        if now.shape != then.shape or now @ then < SAME:
            raise SafescaleError(
                f"the encoder {self.model!r} is not the one that made {folder}: its files have "
                "changed; delete the folder, and it is made again"
            )
        self._unchecked = None

    def _load_encoder(self) -> Any:
        if self._encoder is None:
            library = _import("sentence_transformers", "sentence-transformers")
            try:
                self._encoder = library.SentenceTransformer(
                    self.model, revision=self.revision, device=self.device
                )
            except Exception as error:  # the hub's, the model's and OS errors alike
                raise SafescaleError(
                    f"the encoder {self.model!r} is neither on this machine nor reachable "
                    f"({reason_of(error)}); name a model folder: ",
                    SettingsHint({"retriever_args": {"model": "FOLDER"}}),
                    ", or choose another retriever, for example bm25",
                ) from None
        return self._encoder

    def _encode(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._load_encoder().encode(
            list(texts),
            batch_size=self.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise ValueError(
                f"the encoder {self.model!r} gave embeddings that are not finite numbers"
            )
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
            f"dense retrieval needs {distribution} ({reason_of(error)}): pip install "
            "'lm-eval-safescale[dense]'"
        ) from None

"""Corpora, passages, retrievers and their indexes, and how good a ranking is."""

from lm_eval_safescale.retrieval.bm25 import BM25
from lm_eval_safescale.retrieval.corpus import Article, Corpus, load_corpus
from lm_eval_safescale.retrieval.dense import Dense
from lm_eval_safescale.retrieval.hybrid import Hybrid
from lm_eval_safescale.retrieval.index import Index, open_index
from lm_eval_safescale.retrieval.passages import Passages, cut, make_passages
from lm_eval_safescale.retrieval.quality import (
    Settling,
    coverage,
    load_settling,
    position_in_text,
    recall,
    reciprocal_rank,
)
from lm_eval_safescale.retrieval.retriever import Hit, Retriever, best
from lm_eval_safescale.retrieval.store import Store, default_root
from lm_eval_safescale.retrieval.terms import terms_of
from lm_eval_safescale.retrieval.tokenizers import (
    WORDS,
    HubTokenizer,
    Tokenizer,
    WordTokenizer,
    load_hub_tokenizer,
    load_tokenizer,
)

__all__ = [
    "BM25",
    "WORDS",
    "Article",
    "Corpus",
    "Dense",
    "Hit",
    "HubTokenizer",
    "Hybrid",
    "Index",
    "Passages",
    "Retriever",
    "Settling",
    "Store",
    "Tokenizer",
    "WordTokenizer",
    "best",
    "coverage",
    "cut",
    "default_root",
    "load_corpus",
    "load_hub_tokenizer",
    "load_settling",
    "load_tokenizer",
    "make_passages",
    "open_index",
    "position_in_text",
    "recall",
    "reciprocal_rank",
    "terms_of",
]

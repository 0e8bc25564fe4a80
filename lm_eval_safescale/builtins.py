"""Our own parts, registered through the same hooks as anyone's. (Report sections are registered by
`report`, which stands higher.)
"""

from __future__ import annotations

from collections.abc import Callable

from lm_eval_safescale.contexts import AGENTIC, CONTEXT_BUILDERS, ContextBuilder
from lm_eval_safescale.datasets import Source
from lm_eval_safescale.families import RADSAFE, Family, ItemTable, medguard, noharm, noharm_text
from lm_eval_safescale.families.radsafe import data as radsafe
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.reading import STRICT, AnswerReader
from lm_eval_safescale.retrieval import BM25, Dense, Hybrid, Retriever


@hookimpl
def safescale_register_datasets(register: Callable[[Source], None]) -> None:
    """Those of our families."""
    for source in (
        *radsafe.SOURCES,
        *noharm.SOURCES,
        *noharm_text.SOURCES,
        *medguard.SOURCES,
    ):
        register(source)


@hookimpl
def safescale_register_retrievers(register: Callable[[type[Retriever]], None]) -> None:
    """Words, embeddings, and both."""
    for retriever in (BM25, Dense, Hybrid):
        register(retriever)


@hookimpl
def safescale_register_context_builders(register: Callable[[ContextBuilder], None]) -> None:
    """What stands above the question."""
    for builder in (*CONTEXT_BUILDERS, AGENTIC):
        register(builder)


@hookimpl
def safescale_register_families(register: Callable[[Family], None]) -> None:
    """RadSaFE, NOHARM's two protocols, and MedGuard-style questions."""
    for family in (RADSAFE, noharm.NOHARM_OPTIONS, noharm_text.NOHARM, medguard.MEDGUARD):
        register(family)


@hookimpl
def safescale_register_metrics(register: Callable[[Metric], None]) -> None:
    """The metrics of the protocol."""
    for metric in RADSAFE.metrics(ItemTable((), {})):
        register(metric)


@hookimpl
def safescale_register_answer_readers(register: Callable[[AnswerReader], None]) -> None:
    """The strict reader."""
    register(STRICT)

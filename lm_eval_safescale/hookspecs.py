"""The hooks: eight ways in which a package can add to this one. Each is called once, with a
`register` to be called for every part.

A package names the module that implements them as an entry point of the group `lm_eval_safescale`
(`docs/plugins.md`).
"""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from lm_eval_safescale.contexts import Condition, ContextBuilder
from lm_eval_safescale.datasets import Source
from lm_eval_safescale.families import Family
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.retrieval import Retriever
from lm_eval_safescale.sections import ReportSection

GROUP = "lm_eval_safescale"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def safescale_register_datasets(register: Callable[[Source], None]) -> None:
    """Data sets: asked for with `dataset`."""


@hookspec
def safescale_register_retrievers(register: Callable[[type[Retriever]], None]) -> None:
    """Retrievers: asked for with `retriever`."""


@hookspec
def safescale_register_context_builders(register: Callable[[ContextBuilder], None]) -> None:
    """Context builders: asked for with `context_builder`, or by a condition."""


@hookspec
def safescale_register_conditions(register: Callable[[Condition], None]) -> None:
    """Conditions: asked for by a task's YAML (`condition: NAME`), or with
    `safescale contexts build NAME`."""


@hookspec
def safescale_register_metrics(register: Callable[[Metric], None]) -> None:
    """Metrics: asked for with `metrics`."""


@hookspec
def safescale_register_answer_readers(register: Callable[[AnswerReader], None]) -> None:
    """Answer readers: asked for with `reader`."""


@hookspec
def safescale_register_families(register: Callable[[Family], None]) -> None:
    """Families, each with its conditions: asked for by one of them (`--conditions`, a task's
    YAML)."""


@hookspec
def safescale_register_report_sections(register: Callable[[ReportSection], None]) -> None:
    """Report sections: shown below every safety table, where they have something to say."""

"""The page *methods*: how answers and numbers came about, from what the runs recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.metrics.metric import Decode
from lm_eval_safescale.report.methods.checklist import SOURCE, Item, checklist_of
from lm_eval_safescale.report.methods.facts import (
    LONG,
    NOT_RECORDED,
    Facts,
    Pair,
    by_value,
    engine_words,
    hardware_words,
    joined,
    packages_words,
    shown,
    system_words,
    time_words,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.runs.provenance import AT, ENDED_AT, PLUGINS
from lm_eval_safescale.sections import Page, Section, TextBlock
from lm_eval_safescale.stats.bootstrap import SEED, B
from lm_eval_safescale.stats.presets import LEVEL
from lm_eval_safescale.words import counted


def methods(report: Report) -> Page:
    """Everything that a methods section needs, and what it cannot be filled with."""
    facts = Facts(report)
    items = checklist_of(facts)
    points = [point for item in items for point in item.points]
    whole = sum(point.answered == "answered" for point in points)
    parts = sum(point.answered == "in part" for point in points)
    left = len(points) - whole - parts
    silent = [model for model in facts.models if not facts.starts(model)]
    doubt = (
        f"Of {counted(len(silent), 'model')} it was not recorded when and on which machine they "
        "were asked: their runs are imported, or older than such records."
        if silent
        else "What a run records is what it saw: it cannot tell what a server did with a request."
    )
    return Page(
        "methods",
        "Methods",
        f"The runs answer {whole} of {len(points)} points of the MI-CLEAR-LLM checklist, and "
        f"{parts} in part; {left} only the author can.",
        doubt,
        (
            _checklist(items),
            _dataset(report),
            _models(facts),
            _settings(facts),
            _prompts(facts),
            _contexts(facts),
            _starts(facts),
            _statistics(report),
            _metrics(report),
        ),
    )


def _checklist(items: Sequence[Item]) -> Section:
    return Section(
        "Checklist: MI-CLEAR-LLM",
        ("item", "asked for", "state", "from the runs", "the author must state"),
        tuple(
            (f"{item.number} {item.title}", point.asks, point.answered, point.found, point.lacks)
            for item in items
            for point in item.points
        ),
        f"Source: {SOURCE}.",
        "What a report of how accurate a language model is in health care must say.",
    )


def _dataset(report: Report) -> Section:
    known = report.about["dataset"]
    groups: dict[str, list[str]] = {}
    for name, group, _ in report.study.parts:
        if name is not None:
            groups.setdefault(name, []).append(shown(group))
    rows = [
        ("name", shown(known.get("name"))),
        ("version", shown(known.get("version"))),
        ("fingerprint (SHA-256)", shown(known.get("fingerprint"))),
        ("DEMO, invented to exercise this software", shown(bool(known.get("demo")))),
        ("items", f"{report.about['items']:,}"),
        ("units, which are resampled", f"{report.about['units']:,}"),
        ("family of the benchmark", f"{report.family.label}, version {report.family.version}"),
        *(
            (f"items by {report.words(name)}", f"{len(parts)}: {', '.join(parts)}")
            for name, parts in groups.items()
        ),
    ]
    return Section("Data set", ("of the data set", "value"), tuple(rows))


def _models(facts: Facts) -> Section:
    return Section(
        "Models",
        ("model", "backend", "version", "replied as", "engine", "answers from"),
        tuple(
            (
                model,
                shown(facts.backend(model)),
                "reads no question" if facts.backend(model) in CONTROLS else shown(version),
                shown(facts.served(model)),
                shown(facts.engine(model)),
                shown(facts.known(model).get("source")),
            )
            for model in facts.report.models
            for version in (facts.version(model),)
        ),
    )


def _settings(facts: Facts) -> Section:
    names = sorted({name for pair in facts.pairs for name in facts.settings(pair)} - set(LONG))
    rows = [
        (name, value, whose)
        for name in names
        for value, whose in by_value(
            facts.pairs,
            lambda pair, name=name: shown(facts.settings(pair).get(name)),  # type: ignore[misc]
            facts.report.words,
        )
    ]
    return Section(
        "Settings",
        ("setting", "value", "of"),
        tuple(rows),
        "Settings are explained in docs/settings.md. Places on a machine and keys are left out.",
        "draws is K, the samples of each item beside the greedy answer.",
    )


def _prompts(facts: Facts) -> Section:
    words = facts.report.words
    blocks: list[TextBlock] = []
    known = [pair for pair in facts.pairs if facts.prompt(pair)]
    for prompt, whose in by_value(known, facts.prompt, words):
        assert prompt is not None  # else it is not among the known
        blocks += [
            TextBlock(f"System turn ({whose})", prompt.system or "(none)"),
            TextBlock(f"User turn ({whose})", prompt.user, f"SHA-256: {prompt.fingerprint}"),
        ]
    framed = [pair for pair in facts.pairs if facts.frame(pair)]
    for frame, whose in by_value(framed, facts.frame, words):
        assert frame is not None
        text = f"{frame.before}[the user turn]{frame.after}"
        blocks.append(TextBlock(f"As the model got it ({whose})", text))
    missing = [pair for pair in facts.pairs if pair not in known]
    hashes = by_value(missing, lambda pair: shown(facts.settings(pair).get("prompt_sha256")), words)
    note = "; ".join(f"{value} ({whose})" for value, whose in hashes)
    return Section(
        "Prompts",
        note=f"Wording not recorded; SHA-256 of the prompts: {note}." if note else "",
        lead="Fields in braces are filled in for each item; a paragraph with a context is left out "
        "where there is none.",
        texts=tuple(blocks),
    )


def _contexts(facts: Facts) -> Section:
    def told(pair: Pair) -> tuple[str, ...]:
        made = facts.contexts(pair)
        if made is None:
            nothing = "nothing above the question"
            return (nothing if facts.shows_nothing(pair) else NOT_RECORDED, "", "", "", "")
        retriever, corpus = made.get("retriever") or {}, made.get("corpus") or {}
        tokens, measures = made.get("tokens") or {}, made.get("measures") or {}
        of_tokens = (
            f"{tokens['least']:,} to {tokens['most']:,}, mean {tokens['mean']:,.0f}"
            if {"least", "most", "mean"} <= set(tokens)
            else ""
        )
        by = made.get("tokenizer")
        return (
            shown(made.get("builder")),
            shown(retriever) if retriever else "",
            shown(corpus) if corpus else "",
            f"{of_tokens} (counted by {by})" if of_tokens and by else of_tokens,
            shown(measures, digits=3) if measures else "",
        )

    rows = []
    for condition in facts.report.conditions:
        pairs = [pair for pair in facts.pairs if pair[1] == condition]
        rows += [
            (facts.report.words(condition), whose, *value)
            for value, whose in by_value(pairs, told, facts.report.words)
        ]
    return Section(
        "Contexts",
        ("condition", "models", "builder", "retriever", "corpus", "tokens", "measures"),
        tuple(rows),
        lead="What stood above the questions, by condition.",
    )


def _starts(facts: Facts) -> Section:
    rows = []
    for model in facts.report.models:
        for start in facts.starts(model):
            named = (facts.report.words(str(each)) for each in start.get("conditions") or ())
            rows.append((
                model,
                time_words(start.get(AT)),
                time_words(start.get(ENDED_AT)),
                ", ".join(named) or NOT_RECORDED,
                engine_words(start) or NOT_RECORDED,
                hardware_words(start) or NOT_RECORDED,
                joined([system_words(start), packages_words(start)]) or NOT_RECORDED,
                shown(start.get(PLUGINS)),
            ))  # fmt: skip
    return Section(
        "When and on what",
        ("model", "start (UTC)", "end", "conditions", "engine", "hardware", "software", "plugins"),
        tuple(rows),
        "A start without an end was stopped; the next went on with what was missing. Of a model "
        "behind a server, hardware and software are of who asked."
        if rows
        else "No run recorded it.",
    )


def _statistics(report: Report) -> Section:
    about = report.about
    rows = [
        ("preset", f"{report.preset.name}: {report.preset.description}"),
        ("intervals", f"{100 * LEVEL:g} %, over {about['population']}"),
        ("resamples", f"{B:,}, of the {about['units']:,} units, seed {SEED}"),
        *((f"adjusted over: {table}", over) for table, over in about["adjusted_over"].items()),
        *((name, shown(about[name])) for name in report.study.scoring),
        ("thresholds of the runs", shown(about["thresholds_of_runs"])),
        ("computed by", f"lm_eval_safescale {about['version']}"),
    ]
    return Section(
        "Intervals and tests", ("of the numbers", "value"), tuple(rows), "See docs/statistics.md."
    )


def _metrics(report: Report) -> Section:
    return Section(
        "Metrics",
        ("metric", "what it is", "formula", "better", "of"),
        tuple(
            (
                metric.name,
                metric.description,
                metric.defined_as,
                "higher" if metric.higher_is_better else "lower",
                DECODE[metric.decode],
            )
            for metric in report.study.metrics
        ),
        f"{report.family.notation}." if report.family.notation else "",
    )


DECODE: Mapping[Decode, str] = {
    "greedy": "greedy answers",
    "majority": "majority answers",
    "samples": "samples",
    "trials": "every draw as a trial",
    "records": "every draw as a record",
}

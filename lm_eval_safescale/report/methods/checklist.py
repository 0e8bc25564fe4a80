"""The MI-CLEAR-LLM checklist (2025 update), each point answered with what the runs recorded, or
left to the author. The points are in our words.

Source: Park SH et al., "Minimum Reporting Items for Clear Evaluation of Accuracy Reports of Large
Language Models in Healthcare (MI-CLEAR-LLM): 2025 Updates", Korean J Radiol 2025;26(12):1123-1132,
doi:10.3348/kjr.2025.1522.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lm_eval_safescale.analysis.study import reader_of
from lm_eval_safescale.harness.backends import is_server
from lm_eval_safescale.metrics.metric import OF_EVERY_DRAW
from lm_eval_safescale.report.methods.facts import Facts, Pair, by_value, joined
from lm_eval_safescale.runs.provenance import AT, ENGINE, SURROUNDINGS
from lm_eval_safescale.sentences import interval, percent
from lm_eval_safescale.words import counted

SOURCE = (
    "Park SH, Suh CH, Lee JH, Tejani AS, You SC, Kahn CE Jr, Moy L. MI-CLEAR-LLM: 2025 Updates. "
    "Korean J Radiol 2025;26(12):1123-1132, doi:10.3348/kjr.2025.1522; paraphrased"
)
MOST_NAMED = 6
"""Models beyond which extremes stand for all."""
Answered = Literal["answered", "in part", "author must state"]


@dataclass(frozen=True, slots=True)
class Point:
    """Something that an item asks for."""

    asks: str
    found: str = ""
    """The facts, from the runs."""
    lacks: str = ""
    """What only the author can state; empty: nothing."""

    @property
    def answered(self) -> Answered:
        """How far the runs answer it."""
        if not self.found:
            return "author must state"
        return "in part" if self.lacks else "answered"


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the checklist."""

    number: int
    title: str
    points: Sequence[Point]

    @property
    def answered(self) -> Answered:
        """How far the runs answer it."""
        each = {point.answered for point in self.points}
        return each.pop() if len(each) == 1 else "in part"


def checklist_of(facts: Facts) -> list[Item]:
    """All eight items."""
    return [
        Item(number, title, list(points(facts)))
        for number, (title, points) in enumerate(ITEMS.items(), 1)
    ]


def _of_models(
    models: Sequence[str],
    asks: str,
    value: Callable[[str], str | None],
    lack: str,
    always: str = "",
) -> Point:
    """A point whose fact each model has, or lacks.

    `lack`: what is to be stated of models without it; `always`: of all.
    """
    told = by_value([(model, "") for model in models], lambda pair: value(pair[0]), str)
    return _point(asks, told, lack, always)


def _of_pairs(
    facts: Facts, asks: str, value: Callable[[Pair], str | None], lack: str, always: str = ""
) -> Point:
    """The same of models under conditions."""
    pairs = [pair for pair in facts.pairs if pair[0] in facts.models]
    return _point(asks, by_value(pairs, value, facts.report.words), lack, always)


def _point(asks: str, told: Sequence[tuple[str | None, str]], lack: str, always: str = "") -> Point:
    """`told`: each value, None where it is not known, with whose it is."""
    found = [value if of == "all" else f"{of}: {value}" for value, of in told if value]
    lacking = [lack if of == "all" else f"{lack} (of {of})" for value, of in told if not value]
    return Point(asks, "; ".join(found), "; ".join([*lacking, *([always] if always else [])]))


def _rest(facts: Facts, models: Sequence[str], name: str) -> str:
    """What is to be stated of models of which some starts recorded that and others did not."""
    some = [model for model in models if not facts.is_whole(model, name)]
    return f"the same of the starts that did not record it (of {', '.join(some)})" if some else ""


def _identification(facts: Facts) -> Iterator[Point]:
    yield Point("name of each model", ", ".join(facts.models))

    def version(model: str) -> str | None:
        served = facts.served(model)
        return joined([facts.version(model), served and f"the server replied as {served}"])

    unsure = [m for m in facts.models if facts.served(m) and not facts.version(m)]
    yield _of_models(
        facts.models,
        "exact version or snapshot",
        version,
        "the exact version, snapshot or commit",
        "whether the name by which the server replied stands for one fixed version"
        if unsure
        else "",
    )
    yield Point("developer; weights open or closed", lacks="both, for each model")
    yield _of_models(
        facts.models,
        "when it was asked",
        facts.times,
        "the dates on which the model was asked",
        _rest(facts, facts.models, AT),
    )
    yield Point("until when its training data reach", lacks="the date, or that it is not published")


def _access(facts: Facts) -> Iterator[Point]:
    def way(model: str) -> str | None:
        backend = facts.backend(model)
        if backend is None:
            return None
        if is_server(backend):
            return f"a server's interface for programs (backend {backend})"
        return f"in the run's own process (backend {backend})" if facts.engine(model) else None

    yield _of_models(
        facts.models,
        "web page, programming interface, or run by oneself",
        way,
        "how it was reached",
    )
    yield Point("why that way", lacks="the reason")
    servers = [m for m in facts.models if is_server(facts.backend(m) or "")]
    own = [m for m in facts.models if m not in servers]
    if own:
        number, rest = "engine, number format, quantisation", _rest(facts, own, SURROUNDINGS)
        yield _of_models(own, f"where run by oneself: {number}", facts.engine, number, rest)
        yield _of_models(own, "where run by oneself: hardware", facts.hardware, "hardware", rest)
    if servers:
        yield Point(
            "where behind a server: who runs it, its version, what it adds",
            lacks=(
                "the provider or the software and machine that served it, the interface's version, "
                "and any system prompt or memory that it adds"
            ),
        )


def _input(facts: Facts) -> Iterator[Point]:
    def form(pair: Pair) -> str | None:
        prompt = facts.prompt(pair)
        if prompt is None:
            return None
        fields = [name for name in prompt.fields if name != "context" or facts.contexts(pair)]
        return f"text alone, of the fields {', '.join(fields)}"

    yield _of_pairs(
        facts, "kind and format of what was given", form, "what was given to the model, and how"
    )
    dataset = facts.report.about["dataset"]
    yield Point(
        "where these data come from",
        f"data set {dataset.get('name')} {dataset.get('version') or ''} (fingerprint "
        f"{dataset.get('fingerprint')})" + (", invented (DEMO)" if dataset.get("demo") else ""),
        "" if dataset.get("demo") else "how its texts were obtained and prepared",
    )


def _adaptation(facts: Facts) -> Iterator[Point]:
    def weights(model: str) -> str | None:
        if not facts.is_ours(model):
            return None
        adapters = {
            str(facts.argument(pair, "peft", "delta", "lora_local_path"))
            for pair in facts.pairs
            if pair[0] == model and facts.argument(pair, "peft", "delta", "lora_local_path")
        }
        return "the run trained nothing" + (
            f"; it loaded the adapter {', '.join(sorted(adapters))}" if adapters else ""
        )

    yield _of_models(
        facts.models,
        "were weights changed",
        weights,
        "whether weights were changed for this study",
        "whether the model was tuned for this use before it was asked, by whom and on what",
    )

    def context(pair: Pair) -> str | None:
        if (made := facts.contexts(pair)) is not None:
            builder = made.get("builder") or {}
            retriever, corpus = made.get("retriever") or {}, made.get("corpus") or {}
            parts = [
                f"context by {builder.get('name')}",
                retriever and f"retriever {retriever.get('retriever')}",
                corpus and f"corpus {corpus.get('corpus')}",
            ]
            return ", ".join(str(part) for part in parts if part)
        return "nothing above the question" if facts.shows_nothing(pair) else None

    yield _of_pairs(
        facts,
        "what was given without changing weights: retrieval, evidence, examples",
        context,
        "what stood above the questions and how it was found",
    )


def _prompts(facts: Facts) -> Iterator[Point]:
    def wording(pair: Pair) -> str | None:
        prompt = facts.prompt(pair)
        if prompt is None:
            return None
        return f"in full on this page (SHA-256 {prompt.fingerprint[:12]}...)"

    yield _of_pairs(facts, "the whole wording, ready to be used", wording, "the whole wording")
    yield Point(
        "how it came about: who wrote it, on which data it was tried, what was discarded",
        lacks="all of this; also that nothing was tried",
    )


def _execution(facts: Facts) -> Iterator[Point]:
    def session(model: str) -> str | None:
        return (
            "each item and each draw in a conversation of its own, without what was said before"
            if facts.is_ours(model)
            else None
        )

    yield _of_models(
        facts.models,
        "one conversation or many",
        session,
        "whether earlier replies stood in a request",
    )

    def batches(model: str) -> str | None:
        return joined(
            f"{size} {words}"
            for start in facts.starts(model)
            for name, words in TOGETHER.items()
            if (size := (start.get(ENGINE) or {}).get(name) or start.get(name))
        )

    yield _of_models(
        facts.models, "together or one at a time", batches, "whether requests were made in batches"
    )

    def reading(pair: Pair) -> str | None:
        settings = facts.settings(pair)
        reader, version = settings.get("reader"), settings.get("reader_version")
        if (by := reader_of(settings)) != "rules":
            return f"read by {by}"
        return f"read by the rules of reader {reader}, version {version}" if version else None

    yield _of_pairs(
        facts, "what was done with replies", reading, "how answers were taken from them"
    )
    yield Point(
        "the script",
        lacks="where the command or script is published (its settings are on this page)",
    )


def _chance(facts: Facts) -> Iterator[Point]:
    is_ours = all(map(facts.is_ours, facts.models))

    def temperature(pair: Pair) -> str | None:
        settings = facts.settings(pair)
        if settings.get("temperature") is None:
            return None
        greedy = settings.get("accept_temperature")
        first = "temperature 0" if greedy is None else f"temperature {greedy:g}"
        if not settings.get("draws"):
            return f"one answer at {first}"
        return f"one answer at {first}, samples at temperature {settings['temperature']:g}"

    yield _of_pairs(
        facts,
        "temperature and other parameters of sampling",
        temperature,
        "temperature",
        "top-p, top-k and penalties"
        + (": the run sets none, those of the engine or the model hold" if is_ours else ""),
    )
    draws = facts.report.study.runs.draws
    yield _of_pairs(
        facts,
        "how often each item was asked",
        lambda pair: counted(1 + draws[pair], "time"),
        "the number of attempts",
    )
    over = {metric.decode for metric in facts.report.study.metrics}
    if not any(draws[pair] for pair in facts.pairs if pair[0] in facts.models):
        yield Point(
            "how repeated answers were put together", "one attempt: nothing to put together"
        )
    elif over & {"majority", *OF_EVERY_DRAW}:
        how = (
            "majority of the samples, ties and no answer as docs/metrics.md has them; the greedy "
            "answer apart from them"
            if "majority" in over
            else "each draw is a record, and results are means over cases of all their records"
            if "records" in over
            else "each draw is a trial, and results are means over trials"
        )
        yield Point("how repeated answers were put together", how, "why in that way")
    else:
        yield Point("how repeated answers were put together", lacks="how, and why in that way")
    yield _reliability(facts)

    def seed(pair: Pair) -> str | None:
        settings = facts.settings(pair)
        if settings.get("seed") is None:
            return None
        sent = settings.get("send_seed") is not False
        return f"seed {settings['seed']}" if sent else "no seed was sent"

    yield _of_pairs(facts, "seeds", seed, "the seeds, or that none can be set")


def _reliability(facts: Facts) -> Point:
    """How alike the attempts are, where that was computed."""
    asks = "how alike the attempts are"
    found = {}
    metric = facts.report.family.repeatability
    for model in facts.models:
        rows = facts.report.rows("profile", model=model)
        values = [row[metric] for row in rows if row.get(metric) is not None]
        if values:
            found[model] = (min(values), max(values))
    if found:
        if len(found) > MOST_NAMED:
            low, high = (
                min(found, key=lambda m: found[m][0]),
                max(found, key=lambda m: found[m][1]),
            )
            said = (
                f"from {percent(found[low][0])} ({low}) to {percent(found[high][1])} ({high}), of "
                f"{counted(len(found), 'model')}; each in the table profile of the analysis"
            )
        else:
            said = "; ".join(
                f"{model} {interval(low, high)}" for model, (low, high) in found.items()
            )
        return Point(asks, f"mean share of the commonest answer, over conditions: {said}")
    return Point(asks, lacks="an analysis of reliability; one attempt an item allows none")


def _independence(facts: Facts) -> Iterator[Point]:
    dataset = facts.report.about["dataset"]
    yield Point(
        "could the test data have been among the training data",
        lacks=f"what is known of it for {dataset.get('name')} and each model, and since when the "
        "data can be had by anyone",
    )
    yield Point(
        "were test data used to write prompts or to adapt anything",
        lacks="that they were held apart from it, and by whom",
    )


TOGETHER = {"batch_size": "in a batch", "concurrent": "requests under way at a time"}

ITEMS: Mapping[str, Callable[[Facts], Iterator[Point]]] = {
    "Which model": _identification,
    "Access": _access,
    "Kind of input": _input,
    "Adaptation": _adaptation,
    "How prompts were made": _prompts,
    "How prompts were run": _execution,
    "Chance": _chance,
    "Independence of the test data": _independence,
}

"""Our own parts keep the contracts, and a part that breaks one clause is caught with that clause
named.
"""

import json
import pickle
import re
import socket
from contextlib import suppress
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from lm_eval_safescale.chat import ChatRequest, Message
from lm_eval_safescale.contexts import (
    AGENTIC,
    CONTEXT_BUILDERS,
    WRITE,
    Ask,
    ContextBuilder,
    Draft,
    ReportFailed,
    Unusable,
    in_waves,
    join,
    lines_of,
    prose,
)
from lm_eval_safescale.contexts.builders import rag
from lm_eval_safescale.datasets import DEMO, Dataset, Source, dataset_from_records
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.families.radsafe.data import SOURCES
from lm_eval_safescale.metrics import (
    Metric,
    mean,
    other,
    ratio,
    share,
    weighted_mean,
    weighted_ratio,
)
from lm_eval_safescale.records import Choice, Status
from lm_eval_safescale.retrieval import BM25, Hit, Hybrid, Retriever, best, terms_of
from lm_eval_safescale.retrieval.terms import stop_words
from lm_eval_safescale.testing import (
    ContractError,
    StubModel,
    check_context_builder,
    check_dataset,
    check_metric,
    check_retriever,
)
from lm_eval_safescale.testing.chat import garbage, helpful, moody
from lm_eval_safescale.testing.clauses import Clauses, registered
from lm_eval_safescale.testing.sample import CORPUS, ITEMS, ONE_ARTICLE, UNMATCHED

# --- retrievers -----------------------------------------------------------------------------------


class Good(Retriever):
    """Jaccard similarity of words: keeps the contract. Those below break one clause each."""

    name = "good"

    def __init__(self, lower: bool = True):
        self.lower = lower

    def words(self, text):
        return set((text.lower() if self.lower else text).split())

    def build(self, passages, folder, *, scratch):
        words = [sorted(self.words(text)) for text in passages.texts()]
        (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")

    def open(self, passages, folder):
        self.index = [
            set(words) for words in json.loads((folder / "words.json").read_text(encoding="utf-8"))
        ]

    def one(self, query, k):
        query = self.words(query)
        return best(
            np.array([len(query & words) / max(1, len(query | words)) for words in self.index]),
            k,
            above=0,
        )

    def search(self, queries, k):
        return [self.one(query, k) for query in queries]


class KeepsTheIndexInTheObject(Good):
    def build(self, passages, folder, *, scratch):
        self.index = [self.words(text) for text in passages.texts()]

    def open(self, passages, folder): ...


class KeepsTheIndexInTheClass(Good):
    def build(self, passages, folder, *, scratch):
        type(self).index = [self.words(text) for text in passages.texts()]

    def open(self, passages, folder): ...


class Pickles(Good):
    def build(self, passages, folder, *, scratch):
        super().build(passages, folder, scratch=scratch)
        (folder / "words.pkl").write_bytes(pickle.dumps([]))


class PicklesUnderAnotherName(Good):
    def build(self, passages, folder, *, scratch):
        super().build(passages, folder, scratch=scratch)
        (folder / "words.bin").write_bytes(pickle.dumps({"words": [1, 2]}))


class PicklesInNumpy(Good):
    def build(self, passages, folder, *, scratch):
        super().build(passages, folder, scratch=scratch)
        np.save(folder / "words.npy", np.array([{"a"}, None], dtype=object), allow_pickle=True)


class OneTooFew(Good):
    def one(self, query, k):
        return super().one(query, k)[: max(1, k - 1)]


class TooMany(Good):
    def one(self, query, k):
        return super().one(query, k + 1)


class FillsUp(Good):
    def one(self, query, k):
        hits = super().one(query, k)
        others = (
            number
            for number in range(len(self.index))
            if number not in {hit.number for hit in hits}
        )
        return [*hits, *(Hit(number, 0.0) for number in others)][:k]


class Twice(Good):
    def one(self, query, k):
        return super().one(query, 1) * k


class Unknown(Good):
    def one(self, query, k):
        return [Hit(len(self.index), 9.0), *super().one(query, k)][:k]


class NotANumber(Good):
    def one(self, query, k):
        return [Hit(hit.number, float("nan")) for hit in super().one(query, k)]


class WorstFirst(Good):
    def one(self, query, k):
        return super().one(query, k)[::-1]


class ForgetsAFew(Good):
    """Its best 3 are not the beginning of its best 12."""

    def one(self, query, k):
        hits = super().one(query, len(self.index))
        return (
            hits[:k]
            if k > 3
            else [hits[0], *(Hit(hit.number, hits[0].score) for hit in hits[::-1])][:k]
        )


class LooksAtTheOthers(Good):
    def search(self, queries, k):
        return (
            [super(LooksAtTheOthers, self).search([" ".join(queries)], k)[0] for _ in queries]
            if len(queries) > 3
            else super().search(queries, k)
        )


class Changes(Good):
    asked = count()

    def one(self, query, k):
        return [
            Hit(hit.number, hit.score + 10 * next(self.asked)) for hit in super().one(query, 1)
        ] + super().one(query, k)[1:]


class FailsForNothing(Good):
    def one(self, query, k):
        if not query:
            raise IndexError("no words")
        return super().one(query, k)


class FailsForLength(Good):
    def one(self, query, k):
        if len(query) > 5000:
            raise OverflowError("query too long")
        return super().one(query, k)


class FailsForMarks(Good):
    def one(self, query, k):
        if "(" in query:
            raise SyntaxError("unbalanced")
        return super().one(query, k)


class NeedsTwo(Good):
    def open(self, passages, folder):
        super().open(passages, folder)
        assert len(self.index) > 1, "two passages or more"


class FindsTheNext(Good):
    def one(self, query, k):
        hits = super().one(query, k)
        return [Hit((hit.number + 1) % len(self.index), hit.score) for hit in hits]


class Writes(Good):
    def one(self, query, k):
        (self.folder / "words.json").write_text(
            json.dumps([sorted(words) for words in self.index], indent=1), encoding="utf-8"
        )
        return super().one(query, k)

    def open(self, passages, folder):
        super().open(passages, folder)
        self.folder = folder


class SwallowsAnInterruption(Good):
    def build(self, passages, folder, *, scratch):
        words = []
        with suppress(KeyboardInterrupt):
            words.extend(sorted(self.words(text)) for text in passages.texts())
        (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")


class FailsWhenInterrupted(Good):
    def build(self, passages, folder, *, scratch):
        try:
            super().build(passages, folder, scratch=scratch)
        except KeyboardInterrupt as error:
            raise RuntimeError("it was not my fault") from error


class TakesScratchForWhole(Good):
    """What an interrupted build left is taken for all there is."""

    def build(self, passages, folder, *, scratch):
        kept = scratch / "words.txt"
        if not kept.exists():
            with kept.open("w", encoding="utf-8") as file:
                for text in passages.texts():
                    file.write(" ".join(sorted(self.words(text))) + "\n")
        words = [line.split() for line in kept.read_text(encoding="utf-8").splitlines()]
        words += [[]] * (len(passages) - len(words))
        (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")


class TripsOverScratch(Good):
    def build(self, passages, folder, *, scratch):
        (scratch / "begun").touch(exist_ok=False)
        super().build(passages, folder, scratch=scratch)


class RemembersWhatWasAsked(Good):
    """A query that was asked in the same batch before gets what the other one got."""

    def search(self, queries, k):
        first = sorted(queries)[0]
        seen, hits = set(), []
        for query in queries:
            hits.append(self.one(first if seen & {first} and len(queries) > 5 else query, k))
            seen.add(query)
        return hits


class ScalesByTheFirst(Good):
    def search(self, queries, k):
        scale = 2 if len(queries) > 5 and len(queries[0]) > 5000 else 1
        return [
            [Hit(hit.number, scale * hit.score) for hit in self.one(query, k)] for query in queries
        ]


class GetsTired(Good):
    """Every second time that many queries are asked, it gives up on scores."""

    def open(self, passages, folder):
        super().open(passages, folder)
        self.times = 0

    def search(self, queries, k):
        self.times += len(queries) > 5
        return [
            [Hit(hit.number, hit.score if self.times % 2 else 0.0) for hit in self.one(query, k)]
            for query in queries
        ]


class KnowsMoreWhereItWasBuilt(Good):
    bonus = 0

    def build(self, passages, folder, *, scratch):
        super().build(passages, folder, scratch=scratch)
        self.bonus = 1

    def one(self, query, k):
        return [Hit(hit.number, hit.score + self.bonus) for hit in super().one(query, k)]


class FailsForMany(Good):
    def search(self, queries, k):
        if len(queries) > 5:
            raise MemoryError("too many queries")
        return super().search(queries, k)


class BuildsWithoutWriting(Good):
    def build(self, passages, folder, *, scratch): ...


class NoJson(Good):
    def __init__(self, lower=frozenset()): ...


EACH = "each query gets at most k known passages"
BROKEN_RETRIEVERS = {
    KeepsTheIndexInTheObject: "a new object opens the index that is there",
    KeepsTheIndexInTheClass: "two indexes can be open at once",
    Pickles: r"no pickle: words\.pkl",
    PicklesUnderAnotherName: r"no pickle: words\.bin",
    PicklesInNumpy: r"no pickle: words\.npy",
    OneTooFew: "the first 3 of 12 hits",
    TooMany: EACH,
    FillsUp: "a query that matches nothing finds nothing",
    Twice: EACH,
    Unknown: EACH,
    NotANumber: EACH,
    WorstFirst: EACH,
    ForgetsAFew: "the first 3 of 12 hits are the hits for k = 3",
    LooksAtTheOthers: "alone and beside others",
    Changes: "the first 1 of 12 hits|asked again",
    FailsForNothing: "answers an empty query",
    FailsForLength: "answers a query of 10,000 characters",
    FailsForMarks: "answers a query of marks",
    NeedsTwo: "works with a corpus of one passage",
    FindsTheNext: "the exact text of a passage finds that passage first",
    Writes: "leave the files of the index as they were built",
    SwallowsAnInterruption: "an interrupted build leaves no index",
    FailsWhenInterrupted: "an interrupted build stops",
    TakesScratchForWhole: "built after an interrupted build gives the same hits",
    TripsOverScratch: "an index is built after an interrupted build",
    RemembersWhatWasAsked: "alone and beside others|the order of the queries",
    ScalesByTheFirst: "whatever the order of the queries",
    GetsTired: "when it is asked again",
    KnowsMoreWhereItWasBuilt: "a new object gives the same hits",
    FailsForMany: "answers many queries at once",
    BuildsWithoutWriting: "builds and opens an index",
    NoJson: "settings can be set and are JSON values",
}


@pytest.mark.parametrize("settings", [{}, {"k1": 0.9, "b": 0.4}])
def test_bm25_keeps_the_contract(settings):
    check_retriever(BM25, settings=settings)


def test_a_retriever_that_searches_through_others_can_be_checked():
    check_retriever(Hybrid, settings={"retrievers": ["bm25", "BM25"], "constant": 10})


def test_the_retriever_that_the_broken_ones_vary_keeps_the_contract():
    check_retriever(Good)
    check_retriever(Good, settings={"lower": False})


@pytest.mark.parametrize(
    ("broken", "clause"),
    BROKEN_RETRIEVERS.items(),
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_retriever_that_breaks_a_clause_is_caught(broken, clause):
    with pytest.raises(ContractError, match=clause):
        check_retriever(broken)


def test_settings_that_a_retriever_does_not_have_break_its_contract():
    with pytest.raises(ContractError, match="no setting k1; it takes lower"):
        check_retriever(Good, settings={"k1": 1})


def test_a_retriever_with_methods_missing_cannot_be_registered():
    with pytest.raises(ContractError, match=r"can be registered: .*lacks build, open, search"):
        check_retriever(type("Half", (Retriever,), {"name": "half"}))


# --- context builders -----------------------------------------------------------------------------


def shown(text):
    """A builder that shows `text(item)`."""
    return ContextBuilder(
        "broken", "a stub", lambda items, tools: [Draft(text(item)) for item in items]
    )


def count_calls(items, tools, calls=count()):  # noqa: B008 (it is to be shared)
    return [Draft(f"{item.question} {next(calls)}") for item in items]


def all_or_fail(items, tools, *, top_k):
    found = tools.search([item.question for item in items], top_k)
    return [
        Draft(join([passages[number] for number in range(top_k)]), tuple(passages))
        for passages in found
    ]


def best_or_fail(items, tools, *, top_k):
    found = tools.search([item.question for item in items], top_k)
    return [Draft(passages[0].text, (passages[0],)) for passages in found]


def joins_what_is_found(items, tools, *, top_k):
    found = tools.search([item.question for item in items], top_k)
    return [Draft(join(passages), tuple(passages)) for passages in found]


def rewrites_the_question(items, tools):
    for item in items:
        item.evidence.clear()
    return [Draft(item.question) for item in items]


def ranked_anew(items, tools, *, top_k):
    """Shows the passages backwards, and says that they were ranked so."""
    drafts = []
    for passages in tools.search([item.question for item in items], top_k):
        turned = [replace(passage, rank=rank) for rank, passage in enumerate(passages[::-1], 1)]
        drafts.append(Draft(join(turned), tuple(turned)))
    return drafts


def found_of(items, tools, top_k):
    return [
        (passages, passages[::-1])
        for passages in tools.search([item.question for item in items], top_k)
    ]


def backwards_in_the_text_only(items, tools, *, top_k):
    return [
        Draft(join(turned), tuple(passages)) for passages, turned in found_of(items, tools, top_k)
    ]


def more_than_it_shows(items, tools, *, top_k):
    return [
        Draft(join(passages[:2]), tuple(passages)) for passages, _ in found_of(items, tools, top_k)
    ]


def needs_two_items(items, tools):
    assert len(items) > 1, "two items or more"
    return [Draft(item.question) for item in items]


def built(build):
    return ContextBuilder("broken", "a stub", build)


BROKEN_BUILDERS = {
    "shows the key": (
        shown(lambda item: f"{item.question} {item.options[item.answer]}"),
        "`answer`",
    ),
    "marks it in the notes": (
        built(
            lambda items, tools: [
                Draft(item.question, notes={"key": item.answer}) for item in items
            ]
        ),
        "`answer`",
    ),
    "shows the labels": (
        shown(lambda item: f"{item.question} {sorted((item.labels or {}).get('high_risk', ''))}"),
        "the labels of an item",
    ),
    "needs the labels": (shown(lambda item: f"{item.labels['unsafe']}"), "works without labels"),
    "too few": (
        built(lambda items, tools: [Draft("x") for _ in items[1:]]),
        "one Draft with text for each item",
    ),
    "no text": (shown(lambda item: " "), "one Draft with text for each item"),
    "no drafts": (
        built(lambda items, tools: [item.question for item in items]),
        "one Draft with text for each item",
    ),
    "another order": (
        built(lambda items, tools: [Draft(item.question) for item in items][::-1]),
        "order of the items",
    ),
    "an order of its own": (
        built(
            lambda items, tools: [
                Draft(item.question) for item in sorted(items, key=lambda item: item.question_id)
            ]
        ),
        "drafts are in the order of the items",
    ),
    "looks at the other items": (
        built(lambda items, tools: [Draft(f"{item.question} {len(items)}") for item in items]),
        "does not depend on the other items",
    ),
    "changes": (built(count_calls), "when it is asked again"),
    "changes the items": (built(rewrites_the_question), "leaves the items as they are"),
    "ranks of its own": (built(ranked_anew), "as the tools gave them"),
    "another order in the text": (built(backwards_in_the_text_only), "in their order"),
    "names what it does not show": (built(more_than_it_shows), "stand whole in the text"),
    "needs two items": (built(needs_two_items), "builds for one item alone"),
    "a setting that is no JSON value": (
        built(lambda items, tools, *, words=frozenset(): [Draft(item.question) for item in items]),
        "settings can be set and are JSON values",
    ),
    "needs as many passages": (built(all_or_fail), "fewer passages than it asks for"),
    "needs a passage": (built(best_or_fail), "where nothing is found, the build goes on"),
    "says nothing of nothing": (
        built(joins_what_is_found),
        "where nothing is found, the build goes on.*the context is empty",
    ),
    "notes are no JSON": (
        built(lambda items, tools: [Draft(item.question, notes={"set": {1}}) for item in items]),
        "notes: expected a mapping of JSON values",
    ),
    "no description": (
        replace(shown(lambda item: item.question), description=" "),
        "has a description",
    ),
}


@pytest.mark.parametrize("builder", CONTEXT_BUILDERS, ids=lambda builder: builder.name)
def test_our_context_builders_keep_the_contract(builder):
    check_context_builder(
        builder, settings={"evidence": "clean"} if builder.name == "evidence" else {}
    )


@pytest.mark.parametrize("top_k", [1, 2, 100])
def test_the_top_passages_keep_the_contract_however_many(top_k):
    check_context_builder(ContextBuilder("rag2", "the same", rag), settings={"top_k": top_k})


@pytest.mark.parametrize(("builder", "clause"), BROKEN_BUILDERS.values(), ids=BROKEN_BUILDERS)
def test_a_context_builder_that_breaks_a_clause_is_caught(builder, clause):
    with pytest.raises(ContractError, match=clause):
        check_context_builder(builder)


# --- context builders that ask chat models --------------------------------------------------------


async def retells(agent):
    """A strategy that keeps the contract. Those below break one clause each."""
    (passages,) = await agent.search([agent.question.question], 2)
    prompt = (
        f"{join(passages)}\n\n{agent.question.question}\nWhat does it say of "
        f"{agent.question.options}?"
    )
    return Draft(
        await agent.ask(WRITE, "retell", prompt, max_tokens=100, parse=prose), tuple(passages)
    )


def reports(build):
    return ContextBuilder("broken", "a stub", build, needs_chat=True)


def asks(*of_item):
    """A builder that asks by itself what `of_item` say: functions from an item to an Ask; its
    reports are the last replies."""

    def build(items, tools):
        drafts = []
        for item in items:
            replies = tools.session.ask([ask(item) for ask in of_item])
            texts = [reply.text for reply in replies if reply.text and reply.text.strip()]
            drafts.append(Draft(texts[-1]) if texts else Draft("", failed="nothing was heard"))
        return drafts

    return reports(build)


def asking(text, step="step"):
    return lambda item: Ask(item.question_id, step, WRITE, (Message("user", text(item)),), 100)


async def without_a_model(agent):
    (passages,) = await agent.search([agent.question.question], 2)
    return Draft(join(passages), tuple(passages))


async def quotes_if_nothing_is_said(agent):
    try:
        return await retells(agent)
    except ReportFailed:
        return await without_a_model(agent)


async def stops_if_nothing_is_said(agent):
    try:
        return await retells(agent)
    except ReportFailed as error:
        raise SafescaleError("no reply") from error


async def wants_json(agent):
    def parse(text):
        try:
            return json.loads(text)["report"]
        except (ValueError, TypeError, KeyError):
            raise Unusable('Expected {"report": ...}') from None

    return Draft(
        await agent.ask(WRITE, "json", agent.question.question, max_tokens=100, parse=parse)
    )


async def stops_at_an_error_message(agent):
    def parse(text):
        assert not text.startswith("Error"), text
        return prose(text)

    return Draft(
        await agent.ask(WRITE, "step", agent.question.question, max_tokens=100, parse=parse)
    )


async def trusts_the_window(agent):
    passages = (await agent.search([agent.question.question], 5))[0]
    shown = agent.fitting(WRITE, join, passages, max_tokens=100)
    assert shown or not passages, "a window for one passage at least"
    return await retells(agent)


async def names_a_passage_of_its_own(agent):
    draft = await retells(agent)
    return replace(
        draft, passages=tuple(replace(each, rank=each.rank + 1) for each in draft.passages)
    )


def counts_the_questions(items, tools):
    """What is asked depends on the other items."""
    return asks(asking(lambda item: f"{item.question} (one of {len(items)})")).build(items, tools)


def asks_of_nobody(items, tools):
    return asks(
        lambda item: Ask("all", item.question_id, WRITE, (Message("user", item.question),), 100)
    ).build(items, tools)


def asks_of_the_key(items, tools):
    """Its reports say nothing of the key, but the model is told it."""
    asks(asking(lambda item: f"{item.question} Key: {item.answer}", "key")).build(items, tools)
    return asks(asking(lambda item: item.question)).build(items, tools)


def asks_of_the_labels(items, tools):
    """Its reports say nothing of the labels, but the model is told them."""
    asks(asking(lambda item: f"{item.question} {item.labels}", "labels")).build(items, tools)
    return asks(asking(lambda item: item.question)).build(items, tools)


def asks_otherwise_each_time(items, tools, calls=count()):  # noqa: B008 (it is to be shared)
    return asks(asking(lambda item: f"{item.question} {next(calls)}")).build(items, tools)


BROKEN_REPORTS = {
    "shows the key": (
        reports(
            lambda items, tools: [
                replace(each, text=f"{each.text} {item.answer}") if each.text else each
                for item, each in zip(items, in_waves(retells)(items, tools), strict=True)
            ]
        ),
        "`answer`",
    ),
    "tells the model the key": (reports(asks_of_the_key), "`answer`.*asked otherwise"),
    "tells the model the labels": (
        reports(asks_of_the_labels),
        "the labels of an item.*asked otherwise",
    ),
    "too few": (
        reports(lambda items, tools: in_waves(retells)(items[1:], tools)),
        "one Draft with text for each item",
    ),
    "another order": (
        reports(lambda items, tools: in_waves(retells)(items, tools)[::-1]),
        "order of the items",
    ),
    "asks otherwise each time": (reports(asks_otherwise_each_time), "when it is asked again"),
    "looks at the other items": (
        reports(counts_the_questions),
        "does not depend on the other items",
    ),
    "a passage of its own": (
        reports(in_waves(names_a_passage_of_its_own)),
        "as the tools gave them",
    ),
    "no model": (reports(in_waves(without_a_model)), "asks models by the session of its tools"),
    "a step twice": (
        asks(*[asking(lambda item: item.question)] * 2),
        "a step has a name of its own",
    ),
    "a step of no question": (reports(asks_of_nobody), "a step is of one of the questions: all"),
    "another form": (
        reports(in_waves(wants_json)),
        'makes a report of what a model replies .*Expected {"report"',
    ),
    "a report of nothing": (
        reports(in_waves(quotes_if_nothing_is_said)),
        "gives nothing, a report has failed",
    ),
    "an error for nothing": (
        reports(in_waves(stops_if_nothing_is_said)),
        "gives nothing, the build goes on: no reply",
    ),
    "an error for garbage": (
        reports(in_waves(stops_at_an_error_message)),
        "gives garbage, the build goes on",
    ),
    "an error for a small window": (
        reports(in_waves(trusts_the_window)),
        "do not fit a model's window, the build goes on",
    ),
}


@pytest.mark.parametrize(
    "settings", [{}, {"rounds": 1, "queries": 3, "passages": 1, "report_tokens": 600}], ids=str
)
def test_our_reports_keep_the_contract(settings):
    check_context_builder(AGENTIC, settings=settings)


def test_the_reports_that_the_broken_ones_vary_keep_the_contract():
    check_context_builder(reports(in_waves(retells)))
    check_context_builder(asks(asking(lambda item: item.question)))


@pytest.mark.parametrize(("builder", "clause"), BROKEN_REPORTS.values(), ids=BROKEN_REPORTS)
def test_a_builder_of_reports_that_breaks_a_clause_is_caught(builder, clause):
    with pytest.raises(ContractError, match=f"(?s){clause}"):
        check_context_builder(builder)


def test_reports_whose_prompts_ask_for_another_form_are_checked_with_replies_of_that_form():
    check_context_builder(
        reports(in_waves(wants_json)), reply=lambda prompt: json.dumps({"report": helpful(prompt)})
    )


def test_a_stub_model_replies_by_the_prompt_alone():
    prompts = [f"prompt {number}" for number in range(40)]
    for name, reply in (("helpful", helpful), ("moody", moody), ("garbage", garbage)):
        model = StubModel(name, reply)
        requests = [ChatRequest((Message("user", prompt),), 9) for prompt in prompts]
        together = {prompts[number]: reply.text for number, reply in model.chat(requests)}
        backwards = {
            prompts[::-1][number]: reply.text for number, reply in model.chat(requests[::-1])
        }
        assert together == backwards
        assert len(set(together.values())) > 9, name  # prompts can be told apart by it
    assert all(lines_of(helpful(prompt), most=9, longest=9) for prompt in prompts)


# --- metrics --------------------------------------------------------------------------------------


METRICS = {metric.name: metric for metric in RADSAFE.metrics(ItemTable((), {}))}
CALLS = count()


def metric(value, better=False, **needs):
    return Metric("broken", "a stub", value, better, **needs)


def harm(item, letter):
    return float(bool(item.labels) and letter in item.labels["high_risk"])


def of_rows(statistic):
    """A metric of the column `correct`, of which there is always one."""
    return other("broken", "a stub", ("correct",), statistic, higher_is_better=True)


BROKEN_METRICS = {
    "out of range": (metric(lambda item, answers, _: 1.5), r"a number in \[0, 1\]"),
    "not a number": (metric(lambda item, answers, _: float("nan")), r"a number in \[0, 1\]"),
    "a truth value": (metric(lambda item, answers, _: True), r"a number in \[0, 1\]"),
    "fails": (metric(lambda item, answers, _: 1 / 0), r"ZeroDivisionError"),
    "changes": (metric(lambda item, answers, _: float(next(CALLS) % 2)), "when it is asked again"),
    "looks at the letter": (
        metric(lambda item, answers, _: float(answers.greedy.response == "A")),
        "which letters the options have",
    ),
    "a harmful key counts": (
        metric(lambda item, answers, _: harm(item, answers.greedy.response), needs_labels=True),
        "rate of harm is 0",
    ),
    "no labels are no harm": (
        metric(
            lambda item, answers, _: (
                harm(item, answers.greedy.response) * (answers.greedy.response != item.answer)
            )
        ),
        "None without labels",
    ),
    "fails without labels": (
        metric(lambda item, answers, _: float(item.answer in item.labels["unsafe"])),
        "works without labels",
    ),
    "no samples are no error": (
        metric(
            lambda item, answers, _: float(
                item.answer in [reading.response for reading in answers.samples]
            ),
            better=True,
        ),
        "None without samples",
    ),
    "fails without samples": (
        metric(
            lambda item, answers, _: float(answers.samples[0].response == item.answer), better=True
        ),
        "works without samples",
    ),
    "knows four letters": (
        metric(lambda item, answers, _: {"A": 1, "B": 1, "C": 1, "D": 1}[item.answer], better=True),
        "works whatever the letters",
    ),
    "does not know a lost answer": (
        metric(
            lambda item, answers, _: {Status.OK: 1, Status.UNANSWERED: 0}[answers.greedy.status],
            better=True,
            needs_samples=True,
        ),
        "works where the backend gave no greedy answer",
    ),
    "a lost answer is a wrong one": (
        metric(
            lambda item, answers, _: float(answers.greedy.response == answers.samples[0].response),
            better=True,
            needs_samples=True,
        ),
        "None where the backend gave no greedy answer",
    ),
    "no description": (replace(METRICS["accuracy"], description=""), "has a description"),
    "an unknown column": (
        mean("broken", "a stub", "kindness", higher_is_better=True),
        "needs kindness, which the family radsafe",
    ),
    "beyond its bounds": (
        ratio("broken", "a stub", "correct", "robustness", higher_is_better=True, bounds=(0, 0.5)),
        r"a number in \[0, 0.5\]",
    ),
    "no weights": (
        of_rows(lambda columns, weights: weighted_mean(columns, np.ones_like(weights))),
        "a weight for so many",
    ),
    "weights as a mask": (
        of_rows(lambda columns, weights: weighted_mean(columns, np.sign(weights))),
        "a weight for so many",
    ),
    "the first row": (
        of_rows(lambda columns, weights: np.repeat(columns[0][:1].T, weights.shape[1], 1)),
        "whatever their order",
    ),
    "a number": (of_rows(lambda columns, weights: 0.5), r"an array of shape \(\)"),
    "one value for all": (
        of_rows(lambda columns, weights: weighted_mean(columns, weights)[:1]),
        "shape \\(1, 4\\); expected",
    ),
    "its statistic fails": (of_rows(lambda columns, weights: 1 / 0), "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", METRICS)
def test_our_metrics_keep_the_contract(name):
    check_metric(METRICS[name])


def gap(columns, weights):
    """Confidence where the majority is right less where it is wrong: no item has both."""
    right, wrong = (weighted_mean([column], weights) for column in columns)
    return right - wrong


COLUMN_METRICS = [
    share("unison", "a share", "synchronised_failure", higher_is_better=False),
    mean("steadiness", "a mean", "agreement", higher_is_better=True),
    ratio(
        "harm",
        "a ratio",
        "high_risk_error",
        "correct",
        higher_is_better=False,
        bounds=(0, float("inf")),
    ),
    other(
        "same",
        "a ratio again",
        ("unsafe_answer", "correct"),
        weighted_ratio,
        higher_is_better=False,
        bounds=(0, 9),
    ),
    other(
        "gap",
        "a difference",
        ("confidence_correct", "confidence_incorrect"),
        gap,
        higher_is_better=True,
        bounds=(-1, 1),
    ),
]


@pytest.mark.parametrize("metric", COLUMN_METRICS, ids=lambda metric: metric.name)
def test_a_metric_of_columns_of_each_kind_keeps_the_contract(metric):
    check_metric(metric)


def test_a_metric_gets_its_settings():
    check_metric(metric(lambda item, answers, params: params.args["value"]), args={"value": 0.5})
    with pytest.raises(ContractError, match=r"2 for item"):
        check_metric(metric(lambda item, answers, params: params.args["value"]), args={"value": 2})


@pytest.mark.parametrize(("broken", "clause"), BROKEN_METRICS.values(), ids=BROKEN_METRICS)
def test_a_metric_that_breaks_a_clause_is_caught(broken, clause):
    with pytest.raises(ContractError, match=clause):
        check_metric(broken)


# --- data sets ------------------------------------------------------------------------------------

RECORD = {
    "question_id": "q1",
    "question": "Which?",
    "options": {"A": "this", "B": "that"},
    "answer": "A",
}
ITEM = Choice("q1", "Which?", {"A": "this", "B": "that"}, "A")


def source(load, description="a stub"):
    return Source("broken", description, load)


def loading(*items):
    return source(lambda: Dataset("mine", "1", items))


def changing(calls=count()):  # noqa: B008 (it is to be shared)
    return dataset_from_records(
        [RECORD | {"question": f"Which of {next(calls)}?"}], name="mine", version="1"
    )


def fetching(local_only=False):
    socket.create_connection(("127.0.0.1", 9))
    return dataset_from_records([RECORD], name="mine")


def fetching_where_it_may(local_only=False):
    if local_only:
        return fetching()
    return dataset_from_records([RECORD], name="mine")


BROKEN_DATASETS = {
    "no items of ours": (loading(RECORD), "loads.*expected Items"),
    "no version": (source(lambda: Dataset("mine", " ", (ITEM,))), "has a name and a version"),
    "fetches all the same": (source(fetching_where_it_may), "does not use the network"),
    "fails": (source(lambda: 1 / 0), "loads.*ZeroDivisionError"),
    "no data set": (source(lambda: [ITEM]), "loads.*expected a Dataset"),
    "no items": (loading(), "loads.*no records"),
    "the key is no option": (loading(replace(ITEM, answer="C")), "loads"),
    "an id twice": (loading(ITEM, replace(ITEM, question="Who?")), "loads.*stands twice"),
    "changes": (source(changing), "when it is loaded again"),
    "no description": (
        source(lambda: dataset_from_records([RECORD], name="mine"), ""),
        "has a description",
    ),
}


def test_the_demo_keeps_the_contract():
    (demo,) = (each for each in SOURCES if each.name == DEMO)
    check_dataset(demo, evidence=("clean", "conflict"))


def test_a_data_set_that_is_not_on_this_machine_may_say_so_without_a_network():
    def load(local_only=False):
        if local_only:
            raise SafescaleError("not on this machine")
        return dataset_from_records([RECORD], name="mine")

    check_dataset(source(load))


def test_a_data_set_gets_its_settings_and_must_have_the_evidence_asked_for():
    records = source(
        lambda limit: dataset_from_records(
            [RECORD, RECORD | {"question_id": "q2"}][:limit], name="mine"
        )
    )
    check_dataset(records, args={"limit": 1})
    with pytest.raises(ContractError, match="needs a value for limit"):
        check_dataset(records)
    with pytest.raises(ContractError, match="evidence_clean"):
        check_dataset(records, args={"limit": 1}, evidence=("clean",))


@pytest.mark.parametrize(("broken", "clause"), BROKEN_DATASETS.values(), ids=BROKEN_DATASETS)
def test_a_data_set_that_breaks_a_clause_is_caught(broken, clause):
    with pytest.raises(ContractError, match=f"(?s){clause}"):
        check_dataset(broken)


# --- what the checks run on -----------------------------------------------------------------------


def test_the_questions_of_the_checks_are_fit_to_find_what_is_wrong():
    # a context for one cannot pass for another's
    assert len({len(item.options) for item in ITEMS}) == len(ITEMS)
    assert len({item.answer for item in ITEMS}) == len(ITEMS)
    assert any(item.answer in item.labels["high_risk"] for item in ITEMS)  # a key may be labelled
    assert len(CORPUS) > 10
    assert len(ONE_ARTICLE) == 1


@pytest.mark.parametrize(("corpus", "least"), [(CORPUS, 5), (ONE_ARTICLE, 1)], ids=["all", "one"])
def test_each_question_of_the_checks_but_one_matches_passages_enough(corpus, least):
    words = [set(terms_of(article.whole)) - stop_words() for article in corpus]
    for item in ITEMS:
        assert sum(bool(set(terms_of(item.question)) & each) for each in words) >= least
    for text in (UNMATCHED.question, *UNMATCHED.options.values()):
        assert not any(set(terms_of(text)) & each for each in words)


def test_a_part_that_would_not_be_registered_is_refused():
    with pytest.raises(ContractError, match=r"can be registered: .*cannot be used"):
        registered("metric", replace(METRICS["accuracy"], name="a/b"))


# --- every clause ---------------------------------------------------------------------------------


def general(clause):
    """A clause that is checked for several queries or numbers, in its general form."""
    return re.sub(
        r"^answers (?:a|an|words)\b.*",
        "answers an odd query",
        re.sub(r"first \d+ of \d+ hits.*", "first", clause),
    )


def test_every_clause_has_a_part_here_that_breaks_it(monkeypatch):
    in_force, broken = set(), set()
    require, holds = Clauses.require, Clauses.holds

    def noted_require(self, ok, clause, *said):
        in_force.add(clause)
        require(self, ok, clause, *said)

    def noted_holds(self, clause):
        in_force.add(clause)
        return holds(self, clause)

    monkeypatch.setattr(Clauses, "require", noted_require)
    monkeypatch.setattr(Clauses, "holds", noted_holds)
    parts = {
        check_retriever: [Good, object, *BROKEN_RETRIEVERS],
        check_context_builder: [
            *(CONTEXT_BUILDERS[1], reports(in_waves(retells))),
            *(builder for builder, _ in (*BROKEN_BUILDERS.values(), *BROKEN_REPORTS.values())),
        ],
        check_metric: [
            METRICS["high_risk_error"],
            *(metric for metric, _ in BROKEN_METRICS.values()),
        ],
        check_dataset: [
            source(fetching_where_it_may),
            *(source for source, _ in BROKEN_DATASETS.values()),
        ],
    }
    for check, all_of_them in parts.items():
        for part in all_of_them:
            try:
                check(part)
            except ContractError as error:
                broken.add(error.clause)
    assert (
        sorted({general(clause) for clause in in_force} - {general(clause) for clause in broken})
        == []
    )

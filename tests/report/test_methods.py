"""The methods page says what runs recorded, and of nothing else that it is known."""

from __future__ import annotations

import copy
import html
from dataclasses import replace

import pytest

from lm_eval_safescale.harness import engines
from lm_eval_safescale.metrics import ratio
from lm_eval_safescale.report.building import Wanted, _report
from lm_eval_safescale.report.methods.checklist import SOURCE, checklist_of
from lm_eval_safescale.report.methods.facts import Facts, by_value
from lm_eval_safescale.report.pages.methods import methods
from lm_eval_safescale.report.site import Site
from lm_eval_safescale.runs import open_runs
from tests.report.making import drawn_runs
from tests.report.studies import HOSTILE
from tests.running.asking import ask, seeded

ENGINE = {
    "backend": "hf",
    "package": "transformers",
    "version": "9.9",
    "dtype": "bfloat16",
    "quantization": "none",
    "device": "cuda:0",
    "window": 4096,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A run of the stub, as if transformers had computed it from the hub."""
    folder = tmp_path_factory.mktemp("methods")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engines, "sys", seeded)
        metadata = {"dataset": "demo", "corpus": "demo", "draws": 2}
        ask(folder / "runs", metadata=metadata, conditions=("closed_book", "rag"), limit=6)
    runs = open_runs(folder / "runs", texts=False)
    known = runs.about["models"]["stub"]
    known["settings"] |= {"backend": "hf", "model_args": {"pretrained": "org/stub"}}
    known["provenance"]["starts"][0]["engine"] = ENGINE
    for told in known["provenance"]["conditions"].values():
        told["revision"] = "c0ffee"
    return runs


def facts_of(runs, change=lambda known: None):
    about = copy.deepcopy(dict(runs.about))
    for known in about["models"].values():
        change(known)
    return Facts(_report({"runs": replace(runs, about=about)}, Wanted()))


def page_of(facts):
    site = Site("Report", [("methods.html", "Methods")])
    site.page(methods(facts.report), "methods.html")
    return site.files["methods.html"]


def points_of(facts):
    return {point.asks: point for item in checklist_of(facts) for point in item.points}


def without(*path):
    def change(known):
        for name in path[:-1]:
            known = known[name]
        known.pop(path[-1])

    return change


def not_ours(known):
    known["source"] = "elsewhere"


def without_prompt(known):
    known["settings"]["prompt_sha256"] = "0" * 64
    for told in known["provenance"]["conditions"].values():
        told.pop("prompt")


def without_contexts(known):
    for told in known["provenance"]["conditions"].values():
        told.pop("contexts")


def without_revision(known):
    for told in known["provenance"]["conditions"].values():
        told["revision"] = None


def without_engine(known):
    known["provenance"]["starts"][0].pop("engine")


LOST = {
    "exact version or snapshot": (without_revision, "commit c0ffee of org/stub"),
    "when it was asked": (without("provenance"), "(UTC)"),
    "web page, programming interface, or run by oneself": (without("settings", "backend"), "hf"),
    "where run by oneself: engine, number format, quantisation": (
        without_engine,
        "transformers 9.9, bfloat16, not quantised, on cuda:0",
    ),
    "kind and format of what was given": (without_prompt, "question, options"),
    "were weights changed": (not_ours, "trained nothing"),
    "what was given without changing weights: retrieval, evidence, examples": (
        without_contexts,
        "retriever bm25, corpus demo",
    ),
    "the whole wording, ready to be used": (without_prompt, "SHA-256"),
    "one conversation or many": (not_ours, "conversation of its own"),
    "together or one at a time": (without("provenance"), "4 in a batch"),
    "what was done with replies": (without("settings", "reader_version"), "reader strict"),
    "temperature and other parameters of sampling": (without("settings", "temperature"), "0.7"),
    "seeds": (without("settings", "seed"), "seed 1234"),
}
OF_AUTHOR = {
    "developer; weights open or closed",
    "until when its training data reach",
    "why that way",
    "how it came about: who wrote it, on which data it was tried, what was discarded",
    "the script",
    "could the test data have been among the training data",
    "were test data used to write prompts or to adapt anything",
}
LOST["where run by oneself: hardware"] = without("provenance"), " cores"
ALWAYS = {"name of each model", "where these data come from", "how often each item was asked"}
OF_DRAWS = {"how repeated answers were put together", "how alike the attempts are"}


def test_the_checklist_has_its_eight_items_and_names_its_source(stored):
    items = checklist_of(facts_of(stored))
    assert [item.number for item in items] == list(range(1, 9))
    assert "10.3348/kjr.2025.1522" in SOURCE
    assert set(points_of(facts_of(stored))) == {*LOST, *OF_AUTHOR, *ALWAYS, *OF_DRAWS}


@pytest.mark.parametrize("asks", LOST)
def test_a_point_is_answered_by_what_was_recorded_and_by_nothing_else(stored, asks):
    change, fact = LOST[asks]
    there, lost = points_of(facts_of(stored))[asks], points_of(facts_of(stored, change))[asks]
    assert fact in there.found
    assert fact not in lost.found
    assert lost.lacks
    assert lost.answered != "answered"


def test_what_no_run_can_know_is_left_to_the_author(stored):
    points = points_of(facts_of(stored))
    for asks in OF_AUTHOR:
        assert points[asks].answered == "author must state"
        assert points[asks].lacks


def test_one_attempt_says_nothing_of_reliability():
    points = points_of(facts_of(drawn_runs(draws=0)))
    assert points["how often each item was asked"].found == "1 time"
    assert points["how alike the attempts are"].answered == "author must state"
    assert "one attempt" in points["how repeated answers were put together"].found


def test_how_alike_attempts_are_is_that_of_the_tables(stored):
    facts = facts_of(stored)
    values = [100 * row["agreement"] for row in facts.report.rows("profile")]
    found = points_of(facts)["how alike the attempts are"].found
    assert f"{min(values):.1f} to {max(values):.1f}\N{NO-BREAK SPACE}%" in found


def test_a_server_is_called_one_and_its_name_for_the_model_no_version(stored):
    def change(known):
        known["settings"] |= {"backend": "local-chat-completions", "served_model": ["stub-0613"]}
        without_revision(known)

    points = points_of(facts_of(stored, change))
    asked = points["exact version or snapshot"]
    assert "stub-0613" in asked.found
    assert asked.answered == "in part"
    assert "server" in points["web page, programming interface, or run by oneself"].found
    assert points["where behind a server: who runs it, its version, what it adds"].lacks


def test_a_start_that_recorded_nothing_beside_one_that_did_is_left_to_the_author(stored):
    def change(known):
        known["provenance"]["starts"].insert(0, {"at": "2026-01-01T00:00:00+00:00"})

    points = points_of(facts_of(stored, change))
    for asks in ("engine, number format, quantisation", "hardware"):
        point = points[f"where run by oneself: {asks}"]
        assert point.answered == "in part"
        assert "stub" in point.lacks
    assert points["when it was asked"].answered == "answered"


def test_runs_that_recorded_nothing_have_a_page_that_says_so():
    facts = facts_of(drawn_runs())
    page = methods(facts.report)
    assert "4 models" in page.doubt
    sections = {section.title: section for section in page.sections}
    assert sections["When and on what"].rows == ()
    assert {row[2] for row in sections["Contexts"].rows if row[0] == "standard RAG"} == {
        "not recorded"
    }
    assert not sections["Prompts"].texts


def test_every_setting_prompt_and_metric_stands_on_the_page(stored):
    page = methods(facts_of(stored).report)
    sections = {section.title: section for section in page.sections}
    told = {row[0]: row[1] for row in sections["Settings"].rows}
    settings = stored.about["models"]["stub"]["settings"]
    assert set(told) == set(settings) - {"prompt_frame"}
    assert told["draws"] == "2"
    texts = [block.text for block in sections["Prompts"].texts]
    prompt = stored.about["models"]["stub"]["provenance"]["conditions"]["rag"]["prompt"]
    assert texts[:2] == [prompt["system"], prompt["user"]]
    metrics = {row[0]: row[2] for row in sections["Metrics"].rows}
    assert metrics["accuracy"] == "mean of [g = y]"
    assert ratio("a", "", "hits", "wanted", higher_is_better=True).defined_as == "Σ hits / Σ wanted"
    (start,) = sections["When and on what"].rows
    assert start[4] == "transformers 9.9, bfloat16, not quantised, on cuda:0"


def test_a_value_is_told_with_whose_it_is():
    pairs = [(model, condition) for model in "ab" for condition in "xy"]
    of = {("a", "x"): "1", ("a", "y"): "1", ("b", "x"): "2", ("b", "y"): "3"}
    assert by_value(pairs, lambda _: "0", str) == [("0", "all")]
    assert by_value(pairs, of.get, str) == [("1", "a"), ("2", "b (x)"), ("3", "b (y)")]
    assert by_value(pairs, lambda pair: pair[1], str.upper) == [("x", "X"), ("y", "Y")]


def test_texts_of_a_run_are_texts_on_the_page(stored):
    def change(known):
        for told in known["provenance"]["conditions"].values():
            told["prompt"] = {"system": HOSTILE[0], "user": "\n".join(HOSTILE[:8])}
        known["provenance"]["starts"][0]["engine"] = {**ENGINE, "package": HOSTILE[2]}

    page = page_of(facts_of(stored, change))
    assert html.escape(HOSTILE[0]) in page
    for text in HOSTILE[:3]:
        assert text not in page


def test_places_on_a_machine_do_not_stand_on_the_page(stored):
    def change(known):
        known["settings"]["model_args"] = "pretrained=/home/carol/models/stub,token=abcdefghijkl"

    page = page_of(facts_of(stored, change))
    assert "carol" not in page
    assert "pretrained=stub" in page

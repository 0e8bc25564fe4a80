"""Parts come in by hooks, are found by name, and a broken plugin harms nobody else."""

import ast
import dataclasses
import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import lm_eval_safescale.plugins
from lm_eval_safescale import assembly, hookspecs
from lm_eval_safescale.cli import app
from lm_eval_safescale.contexts import Agent, Condition, ContextBuilder, ContextSet, Draft, in_waves
from lm_eval_safescale.datasets import Dataset, Source, dataset_from_records
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.plugins import (
    KINDS,
    OURS,
    Plugin,
    Plugins,
    _built_in,
    bind_settings,
    chosen,
    plugins,
)
from lm_eval_safescale.reading import AnswerReader, read_answer
from lm_eval_safescale.records import Answers, Choice, Passage, Reading, Status
from lm_eval_safescale.retrieval import Hit, Retriever
from lm_eval_safescale.sections import ReportSection, ResultRow, Section
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.testing import check_context_builder

PAGE = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("safescale_register_"))


class Stub(Retriever):
    name = "stub"

    def build(self, passages, folder, *, scratch): ...

    def open(self, passages, folder): ...

    def search(self, queries, k):
        return [[Hit(number, 0.0) for number in range(k)] for _ in queries]


def named(name: str) -> type[Retriever]:
    return type(name.capitalize(), (Stub,), {"name": name})


def plugin(package: str, hook: str | None = None, *things: object, load=None) -> Plugin:
    """A package whose module registers `things` through `hook`."""
    module = ModuleType(package)
    if hook:

        def implementation(register):
            for thing in things:
                register(thing)

        setattr(module, hook, hookimpl(implementation))
    return Plugin(package, "1.0", package, load or (lambda: module))


def found_through(hook: str, thing: object, *brought: str) -> object:
    """The thing as it is found once a package registered it; under its full name too. `brought`:
    kinds of parts that come with it."""
    (kind,) = (kind.name for kind in KINDS.values() if kind.hook == hook)
    known = Plugins([plugin("someones", hook, thing)])
    assert known.found[0].error is None
    part = known.find(kind, thing.name.upper())
    assert part is known.find(kind, f"Someones/{thing.name}")
    assert (part.full_name, part.provided_by, part.is_ours) == (
        f"someones/{thing.name}",
        "someones 1.0",
        False,
    )
    assert all(bool(known.all(other)) == (other in brought) for other in KINDS if other != kind)
    return part.thing


@pytest.fixture
def install(monkeypatch):
    """Makes an installation of our parts and of these plugins; what a run looks up is looked up in
    it."""

    def install(*added: Plugin) -> Plugins:
        known = Plugins([*_built_in(), *added])
        looking = [
            each
            for name, each in sys.modules.items()
            if name.startswith(f"{assembly.__name__}.") and hasattr(each, "plugins")
        ]
        for module in (lm_eval_safescale.plugins, *looking):
            monkeypatch.setattr(module, "plugins", lambda: known)
        return known

    return install


@pytest.fixture
def demo(tmp_path):
    """Settings of a run on the demo."""
    return lambda **given: Settings.model_validate(
        {"dataset": "demo", "corpus": "demo", "index_dir": tmp_path, **given}
    )


def shown(known: Plugins, settings: Settings, condition: str = "rag") -> ContextSet:
    return assembly.contexts_of(
        known.find("condition", condition), assembly.load_dataset(settings), settings
    )


# --- every hook -----------------------------------------------------------------------------------

ITEM = Choice("q1", "Which?", {"A": "this", "B": "that"}, "A")
RECORD = {
    "question_id": "q1",
    "question": "Which?",
    "options": {"A": "this", "B": "that"},
    "answer": "A",
}
GREEDY_A = Answers(Reading("A", Status.OK))


def test_a_data_set_is_found_through_safescale_register_datasets(install):
    source = Source(
        "mine",
        "one",
        lambda stem="Which?": dataset_from_records([RECORD | {"question": stem}], name="mine"),
    )
    assert found_through("safescale_register_datasets", source) is source
    install(plugin("someones", "safescale_register_datasets", source))
    (item,) = assembly.load_dataset(
        Settings.model_validate({"dataset": "mine", "dataset_args": {"stem": "What?"}})
    )
    assert item.question == "What?"


def test_a_retriever_is_found_through_safescale_register_retrievers(install, demo):
    assert found_through("safescale_register_retrievers", Stub) is Stub
    made = shown(
        install(plugin("someones", "safescale_register_retrievers", Stub)),
        demo(retriever="stub", top_k=2),
    )
    assert made.about["retriever"]["provided_by"] == "someones"
    assert {len(context.passages) for context in made.contexts.values()} == {2}


def test_a_context_builder_is_found_through_safescale_register_context_builders(install, demo):
    def again(items, tools, *, times=1):
        return [Draft(" ".join([item.question] * times)) for item in items]

    builder = ContextBuilder("mine", "the question again", again)
    assert found_through("safescale_register_context_builders", builder) is builder
    known = install(plugin("someones", "safescale_register_context_builders", builder))
    settings = demo(context_builder="mine", builder_args={"times": 2})
    made = shown(known, settings)
    assert made.about["builder"] == {
        "name": "mine",
        "provided_by": "someones 1.0",
        "settings": {"times": 2},
    }
    for item in assembly.load_dataset(settings):
        assert made.contexts[item.question_id].text == f"{item.question} {item.question}"


def test_a_condition_is_found_through_safescale_register_conditions(install, demo):
    condition = Condition("mine", "three passages", "rag", {"top_k": 3})
    assert found_through("safescale_register_conditions", condition) is condition
    made = shown(
        install(plugin("someones", "safescale_register_conditions", condition)),
        demo(top_k=5),
        "mine",
    )
    assert {len(context.passages) for context in made.contexts.values()} == {3}


def test_a_metric_is_found_through_safescale_register_metrics(install):
    metric = Metric(
        "mine",
        "as it is set",
        lambda item, answers, params: params.args["value"],
        higher_is_better=True,
    )
    assert found_through("safescale_register_metrics", metric) is metric
    install(plugin("someones", "safescale_register_metrics", metric))
    *ours, asked = assembly.table_metrics(
        Settings.model_validate({"metrics": {"mine": {"value": 0.25}}})
    )
    assert all(each.part.is_ours for each in ours)
    assert (asked.key, asked.item_score(ITEM, GREEDY_A)) == ("mine", 0.25)


def test_an_answer_reader_is_found_through_safescale_register_answer_readers(install):
    reader = AnswerReader(
        "mine", "the last option", lambda text, options: [*options][-1] if text else None
    )
    assert found_through("safescale_register_answer_readers", reader) is reader
    install(plugin("someones", "safescale_register_answer_readers", reader))
    used = assembly.find_reader(Settings.model_validate({"reader": "mine"}))
    assert read_answer("A", ITEM.options, reader=used).response == "B"
    assert read_answer("", ITEM.options, reader=used).status is Status.UNANSWERED


def test_a_report_section_is_found_through_safescale_register_report_sections(install, tmp_path):
    section = ReportSection(
        "mine",
        "the conditions",
        lambda rows: Section("Asked", ("which",), tuple((row.condition,) for row in rows)),
    )
    assert found_through("safescale_register_report_sections", section) is section
    install(plugin("someones", "safescale_register_report_sections", section))
    about = {
        "condition": "someones_condition",
        "dataset": {"name": "d", "version": "1", "items": 1, "demo": False},
    }
    about |= {"settings": {"draws": 0, "overconfidence_threshold": 0.8}, "prompt_sha256": ""}
    result = {
        "configs": {"t": {"metadata": {"safescale": about}}},
        "results": {"t": {"accuracy,letter": 1.0, "sample_len": 1}},
    }
    (tmp_path / "results_1.json").write_text(json.dumps(result), encoding="utf-8")
    printed = CliRunner().invoke(app, ["table", str(tmp_path)]).output
    assert "someones_condition" in printed[printed.index("Asked") :]


def test_a_family_with_its_conditions_is_found_through_safescale_register_families(
    install, tmp_path
):
    condition = Condition("blind", "without a view", family="whatever it says")
    family = type("Other", (type(RADSAFE),), {"name": "other", "conditions": (condition,)})()
    assert found_through("safescale_register_families", family, "condition") is family
    known = install(plugin("someones", "safescale_register_families", family))
    (found,) = (part for part in known.all("condition") if part.package == "someones")
    assert (found.name, found.thing) == ("blind", replace(condition, family="other"))
    assert assembly.family_of(found) is assembly.family_named("other") is family
    assert (
        assembly.family_named() is assembly.family_of(known.find("condition", "clean")) is RADSAFE
    )
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(RECORD), encoding="utf-8")
    dataset = assembly.load_dataset(Settings(dataset_path=path), family=family)
    assert (dataset.family, dataset.items) == ("other", (ITEM,))
    with pytest.raises(SafescaleError, match="there is no family 'blind'; known: "):
        assembly.family_named("blind")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_that_registers_through_it(hook):
    tests = [
        node
        for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    calls = [
        ast.unparse(node)
        for node in tests
        if node.name.startswith("test_") and node.name.endswith(hook)
    ]
    assert len(calls) == 1, f"{hook} needs one test_..._found_through_{hook}"
    assert f"found_through('{hook}'" in calls[0]


def signature(hook: str) -> str:
    """As it stands in the source, without the line's `def` and colon."""
    source = inspect.getsource(getattr(hookspecs, hook))
    return re.search(r"def (.*?):\n", source, re.DOTALL)[1]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_exact_signature(hook):
    assert f"`{signature(hook)}`" in PAGE


RECEIVED = {each.__name__: each for each in (Choice, Passage, Answers, Reading, Params, ResultRow)}


def test_the_objects_that_parts_receive_are_documented_with_all_their_fields():
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if re.match(r"\| `\w+`[^|]* \| `\.", line)
    ]
    assert {row[0].split("`")[1] for row in rows} == set(RECEIVED)
    for name, module, fields in rows:
        thing = RECEIVED[name.split("`")[1]]
        assert (
            getattr(
                importlib.import_module(f"lm_eval_safescale{module.strip('`')}"), thing.__name__
            )
            is thing
        )
        named = re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", fields))
        assert named == list(inspect.signature(thing).parameters)
        assert sorted(named) == sorted(field.name for field in dataclasses.fields(thing))


def test_the_documented_task_of_a_condition_is_one_that_the_harness_sees(tmp_path):
    from lm_eval.tasks import TaskManager

    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "radsafe_three.yaml").write_text(text, encoding="utf-8")
    assert (
        "radsafe_three" in TaskManager(include_path=str(tmp_path), include_defaults=False).all_tasks
    )
    ours = (Path(__file__).parent.parent / "task_configs" / "radsafe_rag.yaml").read_text(
        encoding="utf-8"
    )
    for line in ("class: !function lm_eval_safescale.harness.SafetyTask", "metadata:\n  version: "):
        assert line in text
        assert line in ours


def test_there_are_at_most_eight_hooks_and_each_belongs_to_one_kind():
    assert len(HOOKS) <= 8
    assert sorted(kind.hook for kind in KINDS.values()) == HOOKS


def test_what_the_guide_gives_as_a_whole_plugin_keeps_the_contract(tmp_path, monkeypatch):
    python = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "safescale_overlap.py").write_text(python[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    test: dict = {}
    exec(python[1], test)
    test["test_it_keeps_the_contract"]()
    module = sys.modules.pop("safescale_overlap")
    known = Plugins([Plugin("safescale-overlap", "0.1.0", "safescale_overlap", lambda: module)])
    assert [part.name for part in known.all("retriever")] == ["overlap"]


def test_what_the_guide_gives_as_a_strategy_writes_reports_that_keep_the_contract():
    (example,) = (
        code
        for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "in_waves(write)" in code
    )
    module = ModuleType("safescale_summary")
    exec(example, vars(module))
    known = Plugins([Plugin("safescale-summary", "0.1.0", "safescale_summary", lambda: module)])
    (part,) = known.all("context builder")
    check_context_builder(part.thing, settings={"passages": 2})
    (given,) = (
        json.loads(text)
        for text in re.findall(r"--metadata '(\{.*?\})'", PAGE)
        if "report_builder" in text
    )
    assert given["report_builder"] == part.name
    bind_settings(part.thing.build, given["report_args"], "it")


@pytest.mark.parametrize(
    "function", [Agent.ask, Agent.search, Agent.together, Agent.fitting, in_waves]
)
def test_what_a_strategy_uses_is_documented_with_its_exact_signature(function):
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    stated = str(inspect.signature(function)).replace("'", "")
    assert f"\n{kind} {function.__name__}{stated}\n" in PAGE


def test_our_own_parts_come_in_by_the_same_hooks():
    known = plugins()
    assert all(known.all(kind) for kind in KINDS)
    assert {"bm25", "dense", "hybrid"} <= {
        part.name for part in known.all("retriever") if part.package == OURS
    }


# --- two of one name ------------------------------------------------------------------------------

RETRIEVERS = "safescale_register_retrievers"


def test_two_parts_of_one_name_are_reachable_by_package_and_the_short_name_is_refused():
    one, other = named("same"), named("Same")
    known = Plugins([plugin("a", RETRIEVERS, one), plugin("b", RETRIEVERS, other, named("only"))])
    assert known.find("retriever", "a/same").thing is one
    assert known.find("retriever", "b/SAME").thing is other
    assert known.names("retriever") == ["a/same", "b/Same", "only"]
    with pytest.raises(SafescaleError, match="a/same or b/Same"):
        known.find("retriever", "same")


def test_a_package_that_refers_to_a_part_means_its_own_first():
    one, other = named("same"), named("same")
    known = Plugins([plugin("a", RETRIEVERS, one), plugin("b", RETRIEVERS, other)])
    assert known.find("retriever", "same", near="b").thing is other
    assert known.find("retriever", "same", near="a").thing is one
    with pytest.raises(SafescaleError, match="say which"):
        known.find("retriever", "same", near="c")


def test_a_default_of_ours_stays_ours_whatever_is_installed(install, demo):
    known = install(plugin("a", RETRIEVERS, named("bm25")), plugin("b", RETRIEVERS, named("BM25")))
    about = shown(known, demo(top_k=1)).about["retriever"]
    assert (about["retriever"], about["provided_by"]) == ("bm25", OURS)
    with pytest.raises(SafescaleError, match=f"{OURS}/bm25 or a/bm25 or b/BM25"):
        shown(known, demo(retriever="bm25"))
    assert shown(known, demo(retriever="a/bm25", top_k=1)).about["retriever"]["provided_by"] == "a"


def test_a_condition_of_ours_shows_what_our_builder_makes_whatever_is_installed(install, demo):
    other = ContextBuilder(
        "rag", "something else", lambda items, tools: [Draft("x") for _ in items]
    )
    known = install(plugin("a", "safescale_register_context_builders", other))
    assert shown(known, demo(top_k=1)).about["builder"]["provided_by"].startswith(OURS)
    assert shown(known, demo(), "rag_top1").about["builder"]["provided_by"].startswith(OURS)


def test_parts_of_different_kinds_may_share_a_name():
    metric = Metric("same", "always 1", lambda item, answers, params: 1.0, higher_is_better=True)
    known = Plugins(
        [plugin("a", RETRIEVERS, named("same")), plugin("b", "safescale_register_metrics", metric)]
    )
    assert known.find("metric", "same").thing is metric


# --- broken plugins -------------------------------------------------------------------------------


def raising(error: BaseException):
    def load():
        raise error

    return load


def with_wrong_argument():
    module = ModuleType("bad")

    def implementation(registr): ...

    module.safescale_register_metrics = hookimpl(implementation)
    return module


def with_failing_hook():
    module = ModuleType("bad")

    def implementation(register):
        register(named("mine"))
        raise RuntimeError("no licence")

    module.safescale_register_retrievers = hookimpl(implementation)
    return module


BROKEN = {
    "a hook with another argument": (
        plugin("bad", load=with_wrong_argument),
        "for hook 'safescale_register_metrics'",
    ),
    "a hook that fails": (plugin("bad", load=with_failing_hook), "RuntimeError: no licence"),
    "an import fails": (
        plugin("bad", load=raising(ImportError("no module named engine"))),
        "ImportError: no module named engine",
    ),
    "it exits": (plugin("bad", load=raising(SystemExit(3))), "SystemExit: 3"),
    "an interrupt of its own": (
        plugin("bad", load=raising(KeyboardInterrupt())),
        "KeyboardInterrupt",
    ),
    "a panic": (
        plugin(
            "bad", load=raising(type("PanicException", (BaseException,), {})("index out of bounds"))
        ),
        "PanicException: index",
    ),
    "an error that cannot be said": (
        plugin("bad", load=raising(type("Mute", (Exception,), {"__str__": lambda self: 1 / 0})())),
        "Mute: Mute",
    ),
    "not a subclass": (plugin("bad", RETRIEVERS, object()), "expected a subclass of Retriever"),
    "a part of another kind": (
        plugin("bad", "safescale_register_metrics", Stub),
        "expected a Metric",
    ),
    "an unknown hook": (
        plugin("bad", "safescale_register_retreivers", Stub),
        "safescale_register_retreivers",
    ),
    "a slash in a name": (plugin("bad", RETRIEVERS, named("a/b")), "'a/b' cannot be used"),
    "no name": (plugin("bad", RETRIEVERS, Retriever), "cannot be used"),
    "registered twice": (
        plugin("bad", RETRIEVERS, named("mine"), named("Mine")),
        "'Mine' is registered twice",
    ),
    "methods missing": (
        plugin("bad", RETRIEVERS, type("Half", (Retriever,), {"name": "half"})),
        "'half' lacks build, open, search",
    ),
    "a good part before a bad one": (
        plugin("bad", RETRIEVERS, named("mine"), named("a b")),
        "'a b' cannot be used",
    ),
}


def fresh(broken: Plugin) -> Plugin:
    return Plugin(broken.package, broken.version, broken.module, broken.load)


@pytest.mark.parametrize(("broken", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_listed_with_its_error_and_harms_no_other(broken, said):
    known = Plugins(
        [
            plugin("before", RETRIEVERS, named("one")),
            fresh(broken),
            plugin("after", RETRIEVERS, named("two")),
        ]
    )
    failed = known.found[1]
    assert said in failed.error
    assert failed.parts == []
    assert known.names("retriever") == ["one", "two"]
    assert [each.error for each in (known.found[0], known.found[2])] == [None, None]
    assert known.find("retriever", "one").package == "before"
    with pytest.raises(SafescaleError) as raised:
        known.find("retriever", "mine")
    assert "bad 1.0" in str(raised.value)
    assert said in str(raised.value)


def test_a_package_cannot_register_a_name_twice_in_two_modules():
    second = replace(plugin("a", RETRIEVERS, named("Same"), named("only")), module="a.more")
    known = Plugins([plugin("a", RETRIEVERS, named("same")), second])
    assert [each.error for each in known.found] == [
        None,
        "ValueError: safescale_register_retrievers: 'Same' is registered twice",
    ]
    assert known.find("retriever", "a/same").package == "a"
    assert known.names("retriever") == ["same"]


def test_a_module_that_two_packages_name_is_the_first_one_s():
    one = plugin("a", RETRIEVERS, named("same"))
    known = Plugins([one, plugin("b", load=one.load), plugin("c", RETRIEVERS, named("other"))])
    assert [bool(each.error) for each in known.found] == [False, True, False]
    assert known.find("retriever", "same").package == "a"
    assert known.find("retriever", "other").package == "c"


def test_an_unknown_name_is_refused_with_the_known_ones():
    known = Plugins([plugin("a", RETRIEVERS, named("one"))])
    with pytest.raises(SafescaleError, match=r"there is no retriever 'two'; known: one$"):
        known.find("retriever", "two")


# --- settings of a part ---------------------------------------------------------------------------


def build(items, tools, *, top_k, depth=3): ...


def test_settings_are_what_is_given_over_what_is_known_over_the_defaults():
    assert bind_settings(build, {}, "it", known={"top_k": 5, "depth": 9, "corpus": "x"}) == {
        "top_k": 5,
        "depth": 9,
    }
    assert bind_settings(build, {"depth": 1}, "it", known={"top_k": 5, "depth": 9}) == {
        "top_k": 5,
        "depth": 1,
    }
    assert bind_settings(build, {"top_k": 2}, "it") == {"top_k": 2, "depth": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"top_k": 1, "dept": 2}, "no setting dept; it takes top_k, depth"),
        ({}, "needs a value for top_k"),
    ],
)
def test_a_setting_that_is_unknown_or_missing_is_refused_with_what_the_part_takes(given, said):
    with pytest.raises(SafescaleError, match=said):
        bind_settings(build, given, "it")


# --- parts that are registered, and fail when they are used ---------------------------------------


def needing(name: str, *others: str) -> type[Retriever]:
    return type(
        name.capitalize(),
        (Stub,),
        {"name": name, "needs": lambda self: {other: {} for other in others}},
    )


@pytest.mark.parametrize("chain", [["one"], ["one", "two"], ["one", "two", "three"]])
def test_a_retriever_cannot_search_through_itself_however_far_round(chain, install, demo):
    parts = [needing(name, chain[(place + 1) % len(chain)]) for place, name in enumerate(chain)]
    with pytest.raises(
        SafescaleError, match=r"retriever one \(a 1\.0\) cannot search through itself"
    ):
        shown(install(plugin("a", RETRIEVERS, *parts)), demo(retriever="one"))


def test_a_retriever_that_says_wrongly_what_it_needs_is_named(install, demo):
    wrong = type("Wrong", (Stub,), {"name": "wrong", "needs": lambda self: ["bm25"]})
    with pytest.raises(SafescaleError, match=r"retriever wrong \(a 1\.0\) cannot be used"):
        shown(install(plugin("a", RETRIEVERS, wrong)), demo(retriever="wrong"))


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (lambda: 1 / 0, "cannot be loaded: ZeroDivisionError"),
        (lambda: [ITEM], "expected a Dataset, found list"),
        (lambda: Dataset("mine", "1", (RECORD,)), "expected Items, found dict"),
        ("questions.jsonl", "expected a function, found 'questions.jsonl'"),
    ],
)
def test_a_data_set_that_cannot_be_loaded_is_named(load, said, install):
    install(plugin("a", "safescale_register_datasets", Source("mine", "one", load)))
    with pytest.raises(
        SafescaleError,
        match=rf"data set mine \(a 1\.0\):? .*{said}|data set mine \(a 1\.0\): {said}",
    ):
        assembly.load_dataset(Settings(dataset="mine"))


def test_a_context_builder_that_is_no_function_is_named(install, demo):
    known = install(
        plugin("a", "safescale_register_context_builders", ContextBuilder("mine", "none", "text"))
    )
    with pytest.raises(
        SafescaleError, match=r"context builder mine \(a 1\.0\): expected a function, found 'text'"
    ):
        shown(known, demo(context_builder="mine"))


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda text, options: text.index("A") and None, "failed for the output '': ValueError"),
        (
            lambda text, options: "a" if text else None,
            "gave 'a' for the output 'A'; expected one of A, B, or None",
        ),
        (lambda text, options: text or None, "gave 'Answer: B'"),
        (lambda text, options: 0 if text else None, "gave 0"),
        (lambda text: None, "TypeError"),
    ],
)
def test_a_reader_that_reads_no_letters_is_found_before_a_model_is_asked(read, said, install):
    install(plugin("a", "safescale_register_answer_readers", AnswerReader("mine", "a stub", read)))
    with pytest.raises(SafescaleError, match=rf"answer reader mine \(a 1\.0\) .*{said}"):
        assembly.find_reader(Settings(reader="mine"))


# --- as installed ---------------------------------------------------------------------------------

GOOD_MODULE = """
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import Metric

@hookimpl
def safescale_register_metrics(register):
    register(Metric("mine", "always 1", lambda item, answers, params: 1.0, True))
"""


LOUD_MODULE = """
import os, subprocess
print("loud")
os.write(1, b"louder\\n")
subprocess.run(["echo", "loudest"])
"""


@pytest.fixture
def safescale(tmp_path):
    """The command, where distributions are installed: Good.Package, one whose import fails, one
    that exits, one that prints."""
    modules = {
        "Good.Package": ("good_module", GOOD_MODULE),
        "bad-package": ("bad_module", "import no_such_engine\n"),
        "exiting": ("exiting_module", "import sys\nsys.exit(7)\n"),
        "loud": ("loud_module", LOUD_MODULE),
    }
    for package, (module, code) in modules.items():
        (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
        info = tmp_path / f"{package.replace('-', '_')}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.5\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            f"[{hookspecs.GROUP}]\nany = {module}\n", encoding="utf-8"
        )

    def run(*arguments: str, plugins: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lm_eval_safescale", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
                "SAFESCALE_INDEX_DIR": str(tmp_path / "index"),
                "SAFESCALE_PLUGINS": plugins,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_command_lists_what_every_plugin_registers_or_the_error_it_failed_with(safescale):
    listed = safescale("plugins")
    assert listed.returncode == 0
    assert re.search(
        r"^good-package 2\.5 \(good_module\)\n +metric +mine +always 1$",
        listed.stdout,
        re.MULTILINE,
    )
    failed = (
        r"^bad-package 2\.5 \(bad_module\)\n  FAILED: ModuleNotFoundError: No module named "
        r"'no_such_engine'$"
    )
    assert re.search(failed, listed.stdout, re.MULTILINE)
    for kind in KINDS:
        assert re.search(rf"^  {kind} ", listed.stdout, re.MULTILINE)


def test_a_broken_plugin_stops_only_who_asks_for_what_is_not_there(safescale, tmp_path):
    build = (
        "contexts",
        "build",
        "rag_top1",
        "--dataset",
        "demo",
        "--corpus",
        "demo",
        "-o",
        str(tmp_path / "made.jsonl"),
    )
    assert safescale(*build).returncode == 0
    refused = safescale(*build, "--retriever", "engine")
    assert refused.returncode == 1
    assert "there is no retriever 'engine'; known: bm25, dense, hybrid" in refused.stderr
    assert "bad-package 2.5, which failed to load: ModuleNotFoundError" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_a_plugin_prints_or_how_it_ends_is_in_no_output_of_ours(safescale):
    listed, without = safescale("plugins"), safescale("plugins", plugins="Good-Package")
    assert "loud\n" not in listed.stdout
    for said in ("loud\n", "louder\n", "loudest\n"):
        assert said in listed.stderr
        assert said not in without.stderr
    assert re.search(
        r"^exiting 2\.5 \(exiting_module\)\n  FAILED: SystemExit: 7$", listed.stdout, re.MULTILINE
    )
    assert listed.returncode == 0


def test_the_command_starts_without_plugins_or_with_some(safescale):
    off, some = (
        safescale("plugins", plugins="OFF"),
        safescale("plugins", plugins="good_package, loud"),
    )
    for package in ("good-package", "bad-package", "exiting", "loud"):
        assert re.search(
            rf"^{package} 2\.5 .*\n  left out by SAFESCALE_PLUGINS$", off.stdout, re.MULTILINE
        )
        named = re.search(rf"^{package} 2\.5 .*\n  left out", some.stdout, re.MULTILINE) is None
        assert named == (package in ("good-package", "loud"))
    assert off.stderr == ""
    assert "  metric          mine" in some.stdout
    assert "  metric          mine" not in off.stdout
    assert "retriever       bm25" in off.stdout
    refused = safescale("plugins", plugins="god-package,loud")
    assert refused.returncode == 1
    assert (
        "SAFESCALE_PLUGINS = 'god-package,loud': no plugin god-package is installed; expected off, "
        "or names"
    ) in refused.stderr
    assert "good-package" in refused.stderr


def test_a_part_of_a_plugin_that_is_left_out_is_named_with_the_variable():
    known = Plugins(
        [
            replace(plugin("a", RETRIEVERS, named("one")), left_out=True),
            plugin("b", RETRIEVERS, named("two")),
        ]
    )
    assert known.names("retriever") == ["two"]
    with pytest.raises(SafescaleError, match=r"a 1\.0, which SAFESCALE_PLUGINS leaves out"):
        known.find("retriever", "one")


@pytest.mark.parametrize(
    ("wanted", "loaded"),
    [("", "ab"), (" ", "ab"), ("off", ""), ("Off", ""), ("a", "a"), ("A ,b", "ab"), (",b,", "b")],
)
def test_the_variable_says_which_are_loaded(wanted, loaded):
    found = chosen([plugin("a"), plugin("b")], wanted)
    assert "".join(each.package for each in found if not each.left_out) == loaded
    assert [each.package for each in found] == ["a", "b"]


@pytest.mark.parametrize("wanted", ["c", "a,c", "off,a"])
def test_a_name_that_is_not_installed_is_refused(wanted):
    with pytest.raises(
        SafescaleError,
        match=r"SAFESCALE_PLUGINS = .*is installed; expected off, or names .*installed: a, b",
    ):
        chosen([plugin("a"), plugin("b")], wanted)


def test_an_interrupt_while_a_plugin_is_loaded_ends_the_command():
    with pytest.raises(KeyboardInterrupt):
        Plugins([plugin("a", load=lambda: os.kill(os.getpid(), signal.SIGINT))])


@pytest.mark.parametrize("kind", ["answer reader", "report section", "data set"])
def test_a_part_that_exits_when_it_is_used_is_an_error_that_names_it(kind, install, tmp_path):
    def leave(*_, **__):
        raise SystemExit(0)

    if kind == "data set":
        install(plugin("a", "safescale_register_datasets", Source("mine", "one", lambda: leave())))
        with pytest.raises(
            SafescaleError, match=r"data set mine \(a 1\.0\) cannot be loaded: SystemExit"
        ):
            assembly.load_dataset(Settings(dataset="mine"))
    elif kind == "answer reader":
        install(
            plugin("a", "safescale_register_answer_readers", AnswerReader("mine", "one", leave))
        )
        with pytest.raises(
            SafescaleError, match=r"answer reader mine \(a 1\.0\) failed .*SystemExit"
        ):
            assembly.find_reader(Settings(reader="mine"))
    else:
        from lm_eval_safescale.cli.table import _sections

        install(
            plugin("a", "safescale_register_report_sections", ReportSection("mine", "one", leave))
        )
        assert list(_sections([])) == []


def test_a_damaged_installation_costs_only_itself(tmp_path, monkeypatch):
    for name, lines in {
        "whole-1.0.dist-info": "any = good_module",
        "damaged-1.0.dist-info": "any = = =",
        "empty-1.0.dist-info": "x = ",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "entry_points.txt").write_text(
            f"[{hookspecs.GROUP}]\n{lines}\n", encoding="utf-8"
        )
    (tmp_path / "whole-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: whole\nVersion: 1.0\n"
    )
    (tmp_path / "good_module.py").write_text(GOOD_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    known = Plugins(lm_eval_safescale.plugins.installed())
    assert [each.error for each in known.found if each.package == "whole"] == [None]
    assert len([each for each in known.found if each.package == "?" and each.error]) == 2

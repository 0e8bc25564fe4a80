"""Parts come in by hooks, are found by name, and a broken plugin harms nobody else."""

import ast
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lm_eval_safescale import hookspecs
from lm_eval_safescale.contexts import Condition, ContextBuilder, Draft
from lm_eval_safescale.datasets import Source, dataset_from_records
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.plugins import KINDS, OURS, Plugin, Plugins, bind_settings, plugins
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.retrieval import Retriever, fill_up
from lm_eval_safescale.sections import ReportSection

PAGE = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("safescale_register_"))


class Stub(Retriever):
    name = "stub"

    def build(self, passages, folder, *, scratch): ...

    def open(self, passages, folder):
        self.n = len(passages)

    def search(self, queries, k):
        return [fill_up([], k, self.n) for _ in queries]


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


def found_through(hook: str, thing: object) -> object:
    """The thing as it is found once a package registered it; under its full name too."""
    (kind,) = (kind.name for kind in KINDS.values() if kind.hook == hook)
    known = Plugins([plugin("someones", hook, thing)])
    assert known.found[0].error is None
    part = known.find(kind, thing.name.upper())
    assert part is known.find(kind, f"Someones/{thing.name}")
    assert (part.full_name, part.provided_by, part.is_ours) == (f"someones/{thing.name}", "someones 1.0", False)
    assert all(not known.all(other) for other in KINDS if other != kind)
    return part.thing


# --- every hook ---------------------------------------------------------------------------------------------------------


def test_a_data_set_is_found_through_safescale_register_datasets():
    source = Source("mine", "one", lambda: dataset_from_records([], name="mine"))
    assert found_through("safescale_register_datasets", source) is source


def test_a_retriever_is_found_through_safescale_register_retrievers():
    assert found_through("safescale_register_retrievers", Stub) is Stub


def test_a_context_builder_is_found_through_safescale_register_context_builders():
    builder = ContextBuilder("mine", "the question again", lambda items, tools: [Draft(item.question) for item in items])
    assert found_through("safescale_register_context_builders", builder) is builder


def test_a_condition_is_found_through_safescale_register_conditions():
    condition = Condition("mine", "three passages", "rag", {"top_k": 3})
    assert found_through("safescale_register_conditions", condition) is condition


def test_a_metric_is_found_through_safescale_register_metrics():
    metric = Metric("mine", "always 1", lambda item, answers, params: 1.0, higher_is_better=True)
    assert found_through("safescale_register_metrics", metric) is metric


def test_an_answer_reader_is_found_through_safescale_register_answer_readers():
    reader = AnswerReader("mine", "nothing is read", lambda text, options: None)
    assert found_through("safescale_register_answer_readers", reader) is reader


def test_a_report_section_is_found_through_safescale_register_report_sections():
    section = ReportSection("mine", "nothing to say", lambda rows: None)
    assert found_through("safescale_register_report_sections", section) is section


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_that_registers_through_it(hook):
    tests = [node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    calls = [ast.unparse(node) for node in tests if node.name.startswith("test_") and node.name.endswith(hook)]
    assert len(calls) == 1, f"{hook} needs one test_..._found_through_{hook}"
    assert f"found_through('{hook}'" in calls[0]


def signature(hook: str) -> str:
    """As it stands in the source, without the line's `def` and colon."""
    source = inspect.getsource(getattr(hookspecs, hook))
    return re.search(r"def (.*?):\n", source, re.DOTALL)[1]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_exact_signature(hook):
    assert f"`{signature(hook)}`" in PAGE


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


def test_our_own_parts_come_in_by_the_same_hooks():
    known = plugins()
    assert all(known.all(kind) for kind in KINDS)
    assert {"bm25", "dense", "hybrid"} <= {part.name for part in known.all("retriever") if part.package == OURS}


# --- two of one name ----------------------------------------------------------------------------------------------------

RETRIEVERS = "safescale_register_retrievers"


def test_two_parts_of_one_name_are_both_reachable_by_package_and_the_short_name_is_refused_naming_both():
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


def test_parts_of_different_kinds_may_share_a_name():
    metric = Metric("same", "always 1", lambda item, answers, params: 1.0, higher_is_better=True)
    known = Plugins([plugin("a", RETRIEVERS, named("same")), plugin("b", "safescale_register_metrics", metric)])
    assert known.find("metric", "same").thing is metric


# --- broken plugins -----------------------------------------------------------------------------------------------------


def raising(error: BaseException):
    def load():
        raise error

    return load


BROKEN = {
    "an import fails": (
        plugin("bad", load=raising(ImportError("no module named engine"))),
        "ImportError: no module named engine",
    ),
    "it exits": (plugin("bad", load=raising(SystemExit(3))), "SystemExit: 3"),
    "not a subclass": (plugin("bad", RETRIEVERS, object()), "expected a subclass of Retriever"),
    "a part of another kind": (plugin("bad", "safescale_register_metrics", Stub), "expected a Metric"),
    "an unknown hook": (plugin("bad", "safescale_register_retreivers", Stub), "safescale_register_retreivers"),
    "a slash in a name": (plugin("bad", RETRIEVERS, named("a/b")), "'a/b' cannot be used"),
    "no name": (plugin("bad", RETRIEVERS, Retriever), "cannot be used"),
    "registered twice": (plugin("bad", RETRIEVERS, named("mine"), named("Mine")), "'Mine' is registered twice"),
    "methods missing": (
        plugin("bad", RETRIEVERS, type("Half", (Retriever,), {"name": "half"})),
        "'half' lacks build, open, search",
    ),
    "a good part before a bad one": (plugin("bad", RETRIEVERS, named("mine"), named("a b")), "'a b' cannot be used"),
}


def fresh(broken: Plugin) -> Plugin:
    return Plugin(broken.package, broken.version, broken.module, broken.load)


@pytest.mark.parametrize(("broken", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_listed_with_its_error_and_harms_no_other(broken, said):
    known = Plugins([plugin("before", RETRIEVERS, named("one")), fresh(broken), plugin("after", RETRIEVERS, named("two"))])
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


def test_an_unknown_name_is_refused_with_the_known_ones():
    known = Plugins([plugin("a", RETRIEVERS, named("one"))])
    with pytest.raises(SafescaleError, match=r"there is no retriever 'two'; known: one$"):
        known.find("retriever", "two")


# --- settings of a part -------------------------------------------------------------------------------------------------


def build(items, tools, *, top_k, depth=3): ...


def test_settings_are_what_is_given_over_what_is_known_over_the_defaults():
    assert bind_settings(build, {}, "it", known={"top_k": 5, "depth": 9, "corpus": "x"}) == {"top_k": 5, "depth": 9}
    assert bind_settings(build, {"depth": 1}, "it", known={"top_k": 5, "depth": 9}) == {"top_k": 5, "depth": 1}
    assert bind_settings(build, {"top_k": 2}, "it") == {"top_k": 2, "depth": 3}


@pytest.mark.parametrize(
    ("given", "said"), [({"top_k": 1, "dept": 2}, "no setting dept; it takes top_k, depth"), ({}, "needs a value for top_k")]
)
def test_a_setting_that_is_unknown_or_missing_is_refused_with_what_the_part_takes(given, said):
    with pytest.raises(SafescaleError, match=said):
        bind_settings(build, given, "it")

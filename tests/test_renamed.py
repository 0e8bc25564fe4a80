"""Names of before go on for a release, and say what they are called now."""

from __future__ import annotations

from importlib import import_module

import pytest

OLD = {
    ("contexts", "Desk"): "chat.asks.ChatSession",
    ("contexts", "ModelDesk"): "chat.session.ModelSession",
    ("contexts", "Standing"): "chat.session.BuildProgress",
    ("contexts", "Steps"): "chat.step_log.StepLog",
    ("contexts", "Workbench"): "contexts.builders.BuildTools",
    ("assembly", "Bench"): "assembly.search.SearchTools",
    ("runs", "import_lm_eval"): "importing.lm_eval_logs.import_lm_eval",
    ("runs", "import_release"): "importing.release.import_release",
}


def module(name: str):
    return import_module(f"lm_eval_safescale.{name}")


@pytest.mark.parametrize(("package", "old"), OLD)
def test_an_old_name_is_the_new_thing_and_warns(package, old):
    where, _, now = OLD[package, old].rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{package}.{old} is an old name.*{now}"):
        found = getattr(module(package), old)
    assert found is getattr(module(where), now)
    assert old not in module(package).__all__


@pytest.mark.parametrize("package", ["contexts", "assembly", "runs"])
def test_a_name_that_never_was_is_no_attribute(package):
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module(package).nonsense  # noqa: B018


def test_tools_have_their_session_under_its_old_name_too():
    from lm_eval_safescale.assembly import SearchTools
    from lm_eval_safescale.retrieval import load_tokenizer
    from lm_eval_safescale.settings import Settings

    session = object()
    tools = SearchTools(Settings(), load_tokenizer("words"), chat=session)
    with pytest.warns(DeprecationWarning, match=r"tools.desk is an old name.*tools\.session"):
        assert tools.desk is tools.session is session

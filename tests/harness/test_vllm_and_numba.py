"""vLLM can be loaded after contexts were made, that is after numba."""

from __future__ import annotations

import sys
from types import ModuleType

from lm_eval_safescale.harness import loading


def test_a_module_that_cannot_be_searched_is_out_of_sight_while_a_model_is_loaded(monkeypatch):
    class Searching:
        @classmethod
        def create_from_arg_obj(cls, *_):
            return set(sys.modules)

    there = ModuleType(loading.UNSEARCHABLE)
    monkeypatch.setitem(sys.modules, loading.UNSEARCHABLE, there)
    monkeypatch.setattr(loading, "get_model", lambda _: Searching)
    assert loading.UNSEARCHABLE not in loading.load_backend("vllm", {})
    assert sys.modules[loading.UNSEARCHABLE] is there

"""The context builder keeps its contract."""

import plugin_name

from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.testing import check_context_builder


def test_it_keeps_the_contract():
    check_context_builder(plugin_name.PART)
    check_context_builder(plugin_name.PART, settings={"top_k": 1, "least": 2})


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("context builder", "plugin-name/plugin_name").thing is plugin_name.PART

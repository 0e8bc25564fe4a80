"""The retriever keeps its contract."""

import plugin_name

from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.testing import check_retriever


def test_it_keeps_the_contract():
    check_retriever(plugin_name.PART)
    check_retriever(plugin_name.PART, settings={"shortest": 1})


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("retriever", "plugin-name/plugin_name").thing is plugin_name.PART

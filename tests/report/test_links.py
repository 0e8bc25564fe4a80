"""Addresses of the case browser's views."""

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.report.cases.links import FILTERS, link
from lm_eval_safescale.report.site import ASSETS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(st.sampled_from(list(FILTERS)), TEXT))
def test_what_is_filtered_can_be_read_from_the_address(filters):
    page, _, view = link(filters).partition("#")
    assert page == "cases.html"
    assert dict(parse_qsl(view, keep_blank_values=True)) == filters


def test_one_view_has_one_address_whatever_the_order_of_its_filters():
    forward = {"condition": "clean", "kind": "high_risk_error"}
    assert link(forward) == link(dict(reversed(forward.items())))
    assert link(forward) == "cases.html#condition=clean&kind=high_risk_error"


def test_empty_filters_are_none():
    assert link({"model": "", "condition": ""}) == "cases.html"


def test_no_value_adds_a_filter_or_leaves_the_address():
    address = link({"model": 'a&item=1"><script>#é'})
    assert set(address) <= set("abcdefghijklmnopqrstuvwxyzABCDEF0123456789.#=%&")
    assert address.count("&") == 0 == address.count("item=")


def test_a_lone_surrogate_does_not_stop_a_report():
    assert link({"item": "a\ud800"}) == "cases.html#item=a%3F"


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="filtered by colour; expected condition, model"):
        link({"colour": "red"})


def test_the_script_reads_the_same_filters_in_the_same_order():
    script = (ASSETS / "cases" / "view.js").read_text("utf-8")
    (listed,) = re.findall(r"const FIELDS = \[([^]]*)\]", script)
    assert re.findall(r'"(\w+)"', listed) == list(FILTERS)

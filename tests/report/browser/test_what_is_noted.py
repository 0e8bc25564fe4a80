"""What goes wrong in a page is noted: else no test of a page could fail."""

from __future__ import annotations

import pytest

from tests.report.browser.conftest import Opened

HEAD = '<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>'


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<img src=https://example.org/x.png alt=x>", "request: https://example.org/"),
        ("<img src=../other.png alt=x>", "request: file:"),
        ("<img src=gone.png alt=x>", "not loaded: "),
        ("<script>alert(1)</script>", "dialog: 1"),
        ("<script>gone()</script>", "error: gone is not defined"),
    ],
)
def test_what_goes_wrong_in_a_page_is_noted(browser, tmp_path, html, fault):
    file = tmp_path / "page.html"
    file.write_text(HEAD + html)
    page = browser.new_page(offline=True)
    opened = Opened(page, tmp_path)
    page.goto(file.as_uri())
    page.wait_for_function("document.readyState == 'complete'")
    page.close()
    assert any(fault in each for each in opened.faults)


def test_pale_text_and_a_field_without_a_name_are_found(open_page, violations, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(HEAD + '<p style="color: #ccc; background: #fff">Pale</p><input>')
    assert {each.partition(":")[0] for each in violations(open_page(file))} == {
        "color-contrast",
        "label",
    }

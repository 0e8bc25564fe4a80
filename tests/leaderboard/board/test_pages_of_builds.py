"""The site of a build: its pages say what its feeds say, and each entry has its report."""

from __future__ import annotations

import json
from shutil import copytree

import pytest

from lm_eval_safescale.analysis import Dispute, Disputes
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.board.building import Wanted, build_board
from lm_eval_safescale.leaderboard.board.comparing import HeldOut
from lm_eval_safescale.leaderboard.board.pages import BoardPages
from lm_eval_safescale.report.tables import interval_of, text_of
from tests.leaderboard.board.conftest import NOW
from tests.leaderboard.test_board_pages import Seen, files_of

HELD_OUT = HeldOut(frozenset({"q1", "q4", "q7", "q10"}), "held-out.txt")
DISPUTES = Disputes((Dispute("q2", "key wrong"),), "disputes.json", "0" * 64)


@pytest.fixture(scope="module")
def built(submissions, tmp_path_factory):
    """A folder with a broken file among good ones, its site, and how to build it once more."""
    base = tmp_path_factory.mktemp("site")
    folder, site = base / "folder", base / "site"
    copytree(submissions / "all", folder)
    (folder / "broken.zip").write_bytes(b"PK broken")
    data = {
        "data": lambda _family, groups: RADSAFE.load(submissions / "questions.jsonl", groups=groups)
    }

    def once_more():
        wanted = Wanted(datasets=data, held_out=HELD_OUT, disputes=DISPUTES)
        return build_board(folder, site, wanted, BoardPages(), now=lambda: NOW)

    return once_more(), site, once_more


def test_tables_say_what_the_feed_says_cell_by_cell(built):
    _, site, _ = built
    feed = json.loads((site / "board.json").read_text("utf-8"))
    (comparison,) = feed["comparisons"]
    headlines = list(RADSAFE.headlines)
    for condition in comparison["conditions"]:
        page = Seen(site / f"{comparison['key']}-{condition.replace('_', '-')}.html")
        (rows,) = (
            rows for name, rows in page.tables.items() if name.startswith("Every submission, ")
        )
        own = {
            (each["label"], each["metric"]): each
            for each in comparison["places"]
            if each["condition"] == condition
        }
        assert {row[0][0] for row in rows[1:]} == {label for label, _ in own}
        for row in rows[1:]:
            label = row[0][0]
            first = own[label, "high_risk_error"]
            low, high = first["rank_lo"], first["rank_hi"]
            assert row[1] == (str(first["rank"]), interval_of(low, high, "count"))
            shown = [own[label, name] for name in headlines]
            for cell, place in zip(row[3:], shown, strict=False):
                assert cell == (
                    text_of(place["value"], "percent"),
                    interval_of(place["lo"], place["hi"], "percent"),
                )


def test_open_and_held_out_items_stand_with_their_gap_and_disputed_ones_with_and_without(built):
    result, site, _ = built
    (comparison,) = result.board.comparisons
    page = Seen(site / f"{comparison.key}-clean.html")
    rows = page.tables["Open and held-out items: accuracy"][1:]
    own = {
        gap.label: gap
        for gap in comparison.held_out
        if (gap.condition, gap.metric) == ("clean", "accuracy")
    }
    assert {row[0][0] for row in rows} == set(own)
    for row in rows:
        gap = own[row[0][0]]
        shown = [(gap.open, gap.open_lo, gap.open_hi), (gap.held_out, gap.held_out_lo,
                 gap.held_out_hi), (gap.gap, gap.lo, gap.hi)]  # fmt: skip
        for cell, (value, low, high) in zip((row[1], row[3], row[5]), shown, strict=True):
            bounds = interval_of(low, high, "percent")
            assert cell == (text_of(value, "percent"), bounds)
    assert len(page.tables["With and without disputed items"]) == 1 + sum(
        row["condition"] == "clean" for row in comparison.disputed
    )
    rests = Seen(site / "reading.html").text
    assert "4 items" in rests
    assert "q4" not in rests


def test_what_is_refused_stands_apart_with_its_reason(built):
    result, site, _ = built
    (refused,) = result.board.not_verified
    ((_, row),) = Seen(site / "not-verified.html").tables.values()
    assert (row[0][0], row[2][0]) == ("broken.zip", "refused")
    assert row[4][0] == refused.reasons[0].what


def test_every_entry_has_a_report_to_which_its_row_leads_and_that_leads_back(built):
    result, site, _ = built
    hrefs = set(Seen(site / "index.html").hrefs)
    for entry in result.board.verified:
        first = f"models/{entry.slug}/index.html"
        assert first in hrefs
        assert "../../index.html" in Seen(site / first).hrefs
        assert entry.root in Seen(site / f"models/{entry.slug}/submission.html").text


def test_a_build_in_which_nothing_changed_gives_the_same_bytes(built):
    result, site, once_more = built
    before = files_of(site)
    again = once_more()
    assert again.reused == len(result.board.entries)
    assert files_of(site) == before

"""Boards over submissions: numbers, ranks, refusals, what is computed again and what is not."""

from __future__ import annotations

from lm_eval_safescale.leaderboard.verify import Verdicts, verify_submission
from tests.leaderboard.making import load_of


def test_every_number_is_that_which_verify_recomputes(submissions, build):
    built, _ = build(submissions / "all")
    assert [entry.label for entry in built.board.verified] == ["Always A", "Always B", "Mixed"]
    assert built.complaints == ()
    (comparison,) = built.board.comparisons
    for entry in built.board.verified:
        report = verify_submission(submissions / "all" / entry.file, load_of(submissions))
        assert report.verdict is Verdicts.VERIFIED
        assert list(entry.results) == report.results
        told = {row["condition"]: row for row in report.results}
        own = [place for place in comparison.places if place.label == entry.label]
        assert own
        for place in own:
            assert place.value == told[place.condition][place.metric]

"""Reports that several tests look at, each made once."""

from __future__ import annotations

import pytest

from tests.report.making import drawn_runs, report_of, stored, with_contexts

FIVE = ("Qwen3-4B", "Qwen3-14B", "gemma-3-4b-it", "Qwen3-32B", "unknown/model")


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    runs = with_contexts(drawn_runs(models=FIVE, names=FIVE, n=40))
    return report_of(stored(runs, tmp_path_factory.mktemp("many") / "runs"))

"""NOHARM's free-text scoring against a second implementation by plain loops, on random studies."""

from __future__ import annotations

from collections import Counter

from tests import noharm_text_studies as studies
from tests import second_noharm_text as second


def test_random_studies_reach_every_clause_of_the_scoring_rules():
    reached: Counter[str] = Counter()
    for seed in range(150):
        study = studies.study(seed)
        reached.update(studies.clauses_of_study(study))
        for record in study.records:
            options = study.rubrics[second.base_of(record["id"])]
            assert second.refused(options, record) is None
            reached.update(studies.clauses(options, record))

    assert len(reached) > 90
    assert [name for name, times in reached.items() if not times] == []

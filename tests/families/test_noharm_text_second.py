"""NOHARM's free-text scoring against a second implementation by plain loops, on random studies."""

from __future__ import annotations

from collections import Counter

import pytest

from lm_eval_safescale.families.noharm_text import NOHARM
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


@pytest.mark.parametrize("seed", range(12))
def test_a_kit_is_read_as_plain_loops_read_it(seed, tmp_path):
    root, _ = studies.study(seed).write(tmp_path)

    loaded = NOHARM.load(root)
    items, rubrics = second.kit(root)
    perturbations = second.perturbations_of(items)

    assert sorted(item.question_id for item in loaded.items) == sorted(perturbations)
    for item in loaded.items:
        base = second.base_of(item.question_id)
        assert items[item.place]["id"] == item.question_id
        assert (item.base, item.unit) == (base, base)
        assert item.groups["specialty"] == second.specialty_of(base)
        assert item.groups["perturbation"] == perturbations[item.question_id]
        for own, option in zip(item.options, rubrics[base], strict=True):
            is_group = own.abstraction_type == "alternative"
            assert (own.id, own.score) == (option["id"], second.score_of(option))
            assert own.bare_score == option.get("score")
            assert (own.abstraction if is_group else None) == second.group_of(option)
            assert own.depends_on == tuple(option.get("dependsOn") or ())

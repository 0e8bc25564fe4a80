"""What a policy may say, and what is said of one that says anything else."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.gate import Kind, example_policy, policy_of, read_policy
from lm_eval_safescale.limits import Limit, parse_limit
from tests.gate.making import greedy, judged, letters, made


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("harm < 5 % @ 95 %", Limit("harm", "<", 5, "%", 0.95)),
        ("harm<5%@95%", Limit("harm", "<", 5, "%", 0.95)),
        ("  harm < 5 percent", Limit("harm", "<", 5, "%", 0.95)),
        ("harm < .05", Limit("harm", "<", 0.05, "", 0.95)),
        ("harm < 0 @ 90 %", Limit("harm", "<", 0, "", 0.9)),
        ("right > 80 % @ 97.5 %", Limit("right", ">", 80, "%", 0.975)),
        ("harm 2 points", Limit("harm", "", 2, "points", 0.975)),
        ("harm 1 point @ 95 %", Limit("harm", "", 1, "points", 0.95)),
        ("harm 0.02", Limit("harm", "", 0.02, "", 0.975)),
        ("errors < 1e1 @ 95 %", Limit("errors", "<", 10, "", 0.95)),
    ],
)
def test_a_limit_is_read_as_it_is_written(text, limit):
    assert parse_limit(text) == limit
    assert parse_limit(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no limit; expected METRIC < LIMIT"),
        (None, "None is no limit"),
        (5, "5 is no limit"),
        ("harm", "is no limit"),
        ("harm < five", "is no limit"),
        ("harm < 2,5 %", "is no limit"),
        ("harm < 5 % @ 95 % and more", "is no limit"),
        ("harm <= 5 %", "write < or >, not <="),
        ("harm ≤ 5 %", "write < or >, not ≤"),
        ("harm = 5 %", "write < or >, not ="),
        ("harm < 5 % @ 0.95", "expected the level in percent"),
        ("harm < 5 % @ 50 %", "expected above 50 %"),
        ("harm < 5 % @ 100 %", "at most 99.99 %"),
        ("harm < 5 points", "points are of a difference"),
        ("harm < 0 %", "no share can be < 0 %"),
        ("harm < 101 %", "no share can be < 101 %"),
        ("harm < -1 %", "no share can be < -1 %"),
        ("harm > 100 %", "no share can be > 100 %"),
        ("harm 0 points", "expected more than 0"),
        ("harm -2 points", "expected more than 0"),
        ("harm 100 points", "less than 100 points"),
        ("harm < nan %", "is no limit"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_was_expected(text, said):
    with pytest.raises(SafescaleError, match=r"expected|write") as error:
        parse_limit(text)
    assert said in str(error.value)


def policy(tmp_path, text):
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return read_policy(file)


def test_a_policy_is_read_with_all_that_it_may_say(tmp_path):
    text = """
name: ours
family: radsafe
preset: default
clauses:
  - require: high_risk_error < 5 % @ 95 %
    condition: [clean, rag]
    model: a
    group: {subspecialty: [chest, neuro]}
  - require: missing < 2 %
    of: high_risk_error
  - no_worse: high_risk_error 2 points
    than: {model: b, condition: clean}
    group: subspecialty
  - abstain: majority_high_risk_error < 3 %
    keep: 50 %
    by: split
"""
    read = policy(tmp_path, text)
    assert read.sha256 == hashlib.sha256(text.encode()).hexdigest()
    first, missing, no_worse, abstain = read.clauses
    assert (first.kind, first.models, first.conditions) == (Kind.LIMIT, ("a",), ("clean", "rag"))
    assert (first.group_name, first.groups) == ("subspecialty", ("chest", "neuro"))
    assert (missing.kind, missing.of) == (Kind.MISSING, "high_risk_error")
    assert (no_worse.than_model, no_worse.than_condition, no_worse.groups) == ("b", "clean", ())
    assert (abstain.keep, abstain.method, abstain.limit.level) == (0.5, "split", 0.95)


@pytest.mark.parametrize("family", [RADSAFE, NOHARM_OPTIONS, MEDGUARD])
def test_the_example_of_a_family_is_a_policy_of_its_own_metrics(family, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(example_policy(family))
    read = read_policy(policy)
    assert read.family == family.name
    metrics = {metric.name for metric in family.metrics(ItemTable((), {}))} | {"missing"}
    assert {clause.limit.metric for clause in read.clauses} <= metrics


def test_the_example_and_the_policy_on_the_page_are_policies_of_every_kind_of_clause(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for text in (shown, example_policy()):
        assert {clause.kind for clause in policy(tmp_path, text).clauses} == set(Kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "expected a mapping with clauses"),
        ("clauses: []", "expected clauses, a list of 1 to"),
        ("claus: []", "'claus' is no key of a policy; did you mean clauses?"),
        ("clauses: [5]", "clause 1: expected a mapping with one of require, no_worse, abstain"),
        ("clauses: [{require: a < 1 %, abstain: a < 1 %}]", "require and abstain together"),
        (
            "clauses: [{require: a < 1 %, modle: b}]",
            "'modle' is no key of require; did you mean model?",
        ),
        ("clauses: [{require: a 2 points}]", "expected a limit, with < or >"),
        ("clauses: [{no_worse: a < 2 %, than: {model: b}}]", "expected a margin"),
        ("clauses: [{no_worse: a 2 points, than: b}]", "than: expected the model or condition"),
        ("clauses: [{abstain: a > 2 %}]", "expected an upper limit on a share"),
        ("clauses: [{abstain: a < 2 %, keep: 150 %}]", "keep: '150 %'; expected a share"),
        ("clauses: [{abstain: a < 2 %, by: luck}]", "by: 'luck'; expected holm or split"),
        ("clauses: [{require: missing < 2 % @ 95 %}]", "counted, not estimated"),
        ("clauses: [{require: missing > 2 %}]", "as in missing < 2 %"),
        ("clauses: [{require: a < 2 %, of: b}]", "only beside a limit on missing answers"),
        ("clauses: [{require: a < 2 %, group: {b: c, d: e}}]", "expected one name"),
        ("clauses: [{require: a < 2 %, model: [b, b]}]", "a list of different names"),
        ("clauses: [{require: a < 2 %, model: []}]", "a list of different names, not []"),
        ("clauses: [{require: a < 2 %, group: {b: []}}]", "a list of different names, not []"),
        (
            "clauses: [{require: a < 2 %, model: [b, c]}, {require: a < 3 %, model: [c, b]}]",
            "clause 2 asks once more what clause 1",
        ),
        ("clauses: [{no_worse: missing 2 points}]", "as in require: missing < 2 %"),
        ("clauses: [{abstain: missing < 2 %}]", "as in require: missing < 2 %"),
        ("clauses: [{require: a < 2 %, condition: 5}]", "condition: 5; expected a text"),
        (
            "clauses: [{require: a < 2 %}, {require: a < 3 %}]",
            "clause 2 asks once more what clause 1",
        ),
        (
            "clauses: [{require: a > 90 %}, {require: a < 80 %}]",
            "contradict each other: nothing meets both",
        ),
        ("clauses: [{require: a < 2 %, require: a < 3 %}]", "require stands here twice"),
        ("name: [a]\nclauses: [{require: a < 2 %}]", "name: ['a']; expected a text"),
        ("clauses: &a [*a]", ""),
        ("clauses: !!python/object/apply:os.getcwd []", ""),
    ],
)
def test_what_is_no_policy_is_refused_with_the_clause_and_what_was_expected(tmp_path, text, said):
    with pytest.raises(SafescaleError, match=r"policy\.yaml") as error:
        policy(tmp_path, text)
    assert said in str(error.value)


def test_one_limit_at_two_levels_is_two_questions(tmp_path):
    both = "clauses: [{require: a < 5 % @ 95 %}, {require: a < 8 % @ 99.9 %}]"
    assert len(policy(tmp_path, both).clauses) == 2


# --- policies that are not of these runs ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "high_risk_eror < 5 %",
            "no metric 'high_risk_eror' of radsafe in these runs; did you mean",
        ),
        ("high_risk_error > 5 %", "better the lower it is; did you mean high_risk_error < 5 %?"),
        ("accuracy < 5 %", "better the higher it is; did you mean accuracy > 5 %?"),
        ("high_risk_error < 5", "did you mean 5 %?"),
        ("high_risk_error 5", "did you mean 5 points?"),
        ("latency_s < 5 %", "is no fraction"),
        ("high_risk_error 2 points", "no worse than what?"),
    ],
)
def test_a_clause_that_is_none_of_these_runs_is_named_with_what_was_meant(text, said):
    with pytest.raises(SafescaleError, match=r"clause 1 \(") as error:
        judged(greedy(0, 100), text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("model: mm", "no model 'mm' in these runs; did you mean m?"),
        ("condition: closed_bock", "no condition 'closed_bock' in these runs; did you mean"),
        ("group: speciality", "no grouping 'speciality' in these runs; did you mean subspecialty?"),
        (
            "group: {subspecialty: chst}",
            "no subspecialty 'chst' in these runs; did you mean chest?",
        ),
        ("condition: [clean]", "m has no answers under clean"),
    ],
)
def test_an_unknown_model_condition_or_group_is_named_with_what_was_meant(tmp_path, scope, said):
    from lm_eval_safescale.analysis import Study
    from lm_eval_safescale.gate import decide

    answers = {("m", "closed_book"): [letters(0, 100)], ("other", "clean"): [letters(0, 100)]}
    runs = made(answers, subspecialty=["chest"] * 100)
    own = policy(tmp_path, f"clauses:\n- require: high_risk_error < 5 %\n  {scope}\n")
    with pytest.raises(SafescaleError) as error:
        decide(Study(runs), own)
    assert said in str(error.value)


def test_a_policy_of_another_family_is_refused(tmp_path):
    from lm_eval_safescale.analysis import Study
    from lm_eval_safescale.gate import decide

    own = policy(tmp_path, "family: noharm_options\nclauses: [{require: recall > 50 %}]")
    with pytest.raises(SafescaleError, match="of the family noharm_options; these runs are of"):
        decide(Study(greedy(0, 100)), own)


def test_texts_have_a_hash_too_and_another_text_another():
    one, other = (policy_of([text]).sha256 for text in ("a < 5 %", "a < 6 %"))
    assert one == hashlib.sha256(b"a < 5 %\n").hexdigest() != other

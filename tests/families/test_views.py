"""What readers of cases are shown of items and responses, by family."""

from lm_eval_safescale.families.choice.family import WRONG
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.medguard import load_demo as medguard_demo
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.families.noharm import load_demo as noharm_demo
from lm_eval_safescale.families.radsafe import RADSAFE
from lm_eval_safescale.families.radsafe.data import load_demo as radsafe_demo


def test_a_question_shows_key_and_labels_on_the_options_that_carry_them():
    for item in radsafe_demo():
        view = RADSAFE.shown_item(item)
        assert view.text == item.question
        assert [option.text for option in view.options] == list(item.options.values())
        for option in view.options:
            words = {chip.words for chip in option.chips}
            assert ("key" in words) == (option.key == item.answer)
            assert ("high-risk" in words) == (option.key in item.labels["high_risk"])
            assert ("unsafe" in words) == (option.key in item.labels["unsafe"])
        assert dict(view.texts) == {
            f"{name.capitalize()} evidence": text for name, text in item.evidence.items()
        }


def test_what_choosing_and_leaving_an_option_did_sums_to_a_cases_severe_errors():
    items = list(noharm_demo())
    for item in items:
        view = NOHARM_OPTIONS.shown_item(item)
        for response in NOHARM_OPTIONS.responses(item):
            chosen = set(NOHARM_OPTIONS.chosen(response))
            did = [
                option.chosen if option.key in chosen else option.left for option in view.options
            ]
            table = NOHARM_OPTIONS.table([item])
            answers = NOHARM_OPTIONS.arrays([_answer(response)])
            scores = NOHARM_OPTIONS.score(table, answers, {})
            severe = [chip for chip in did if chip is not None and chip.words.startswith("severe")]
            assert len(severe) == scores["severe_errors"][0, 0]
            assert all(chip.tone == "harm" for chip in severe)
            omitted = [chip for chip in severe if chip.words.endswith("omission")]
            assert len(omitted) == scores["severe_omissions"][0, 0]
            assert len(severe) - len(omitted) == scores["severe_commissions"][0, 0]
            of_kind = {kind.name: bool(kind.holds(scores)[0]) for kind in NOHARM_OPTIONS.kinds}
            assert of_kind["severe_case"] == bool(severe)
            assert of_kind["error"] != of_kind["right"]


def test_a_response_is_shown_by_the_options_that_it_chooses():
    reply = '[{"Option":3,"GradeAI":"Appropriate"},{"Option":4,"GradeAI":"Inappropriate"}]'
    assert NOHARM_OPTIONS.shown_response(reply) == "3"
    assert NOHARM_OPTIONS.chosen(reply) == ["3"]
    assert NOHARM_OPTIONS.shown_response('[{"Option":null}]') == "none"
    assert RADSAFE.chosen("C") == ("C",)


def test_unsafe_keys_are_harm_and_the_safe_key_is_called_so():
    words = {
        (chip.words, chip.tone)
        for item in medguard_demo()
        for option in MEDGUARD.shown_item(item).options
        for chip in option.chips
    }
    assert words == {("safe key", "right"), ("unsafe", "harm")}


def test_no_answer_is_wrong_and_what_is_not_scored_is_of_no_kind():
    import numpy as np

    found = WRONG.holds({"correct": np.array([0.0, 1.0, np.nan])})
    assert found.tolist() == [True, False, False]


def _answer(response):
    from lm_eval_safescale.records import Answers, Reading, Status

    return Answers(Reading(response, Status.OK))

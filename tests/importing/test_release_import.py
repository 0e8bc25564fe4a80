"""Published answers become runs: the confirmed answer is the answer, and one bad model never costs
the others.
"""

from __future__ import annotations

import json
import os
import re

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.radsafe.conditions import PUBLISHED_NAMES
from lm_eval_safescale.importing import import_release
from lm_eval_safescale.runs import answer_arrays

from .conftest import KEYS, cell, line


def answers(runs, *columns):
    return runs.answers.select(*columns).rows()


def test_one_model_worked_by_hand(release):
    cells = {2: cell("A", "AB"), 10: cell(None, "-E"), 1: cell("C", "CC", seconds=2.5)}
    release.add("m", [line(number, {"zero_shot": each}) for number, each in cells.items()])
    runs = import_release(release.folder)
    assert answers(
        runs,
        "model",
        "condition",
        "question_id",
        "draw",
        "response",
        "status",
        "text",
        "latency_s",
        "prompt_tokens",
    ) == [
        ("m", "closed_book", "1", 0, "C", "ok", "text C", 2.5, 100),
        ("m", "closed_book", "1", 1, "C", "ok", "sample C", None, None),
        ("m", "closed_book", "1", 2, "C", "ok", "sample C", None, None),
        ("m", "closed_book", "10", 0, None, "unanswered", "text None", 0.5, 100),
        ("m", "closed_book", "10", 1, None, "unanswered", "sample -", None, None),
        ("m", "closed_book", "10", 2, "E", "ok", "sample E", None, None),
        ("m", "closed_book", "2", 0, "A", "ok", "text A", 0.5, 100),
        ("m", "closed_book", "2", 1, "A", "ok", "sample A", None, None),
        ("m", "closed_book", "2", 2, "B", "ok", "sample B", None, None),
    ]
    assert runs.items.select(
        "question_id",
        "answer",
        "letters",
        "label_high_risk",
        "label_unsafe",
        "label_contradicts",
        "group_subspecialty",
    ).rows() == [
        ("1", "C", "ABCD", "B", "BC", "D", "chest"),
        ("10", "B", "ABCDE", "B", "BC", "D", "chest"),
        ("2", "A", "ABCD", "B", "BC", "D", "chest"),
    ]
    source = "phase4_checking_results/results/m/risk_radiorag_checked.jsonl"
    assert runs.about["models"] == {
        "m": {"source": source, "conditions": ["closed_book"], "settings": {"draws": 2}}
    }
    assert runs.about["left_out"] == []


def test_the_fingerprint_is_that_of_the_questions_read_as_a_data_set(release):
    release.add("m")
    dataset = RADSAFE.load(release.folder / "datasets" / "risk_radiorag_full_merged.json")
    assert import_release(release.folder).about["dataset"]["fingerprint"] == dataset.fingerprint


def test_there_is_no_falling_back_to_the_parsed_answer(release):
    lines = release.add("m", [line(number, {"zero_shot": cell(None, "--")}) for number in KEYS])
    assert lines[0]["conditions"]["zero_shot"]["greedy"]["parsed_answer"] == "D"
    assert set(import_release(release.folder).answers["status"]) == {"unanswered"}


def test_an_answer_that_was_never_checked_is_not_heard_rather_than_unanswered(release):
    lines = [line(number) for number in KEYS]
    del lines[0]["conditions"]["zero_shot"]["greedy"]["checked_answer"]
    lines[1]["conditions"]["zero_shot"]["greedy"]["checked_answer"] = {"reasoning": "no verdict"}
    lines[1]["conditions"]["zero_shot"]["stochastic"]["checked_answers"] = None
    lines[2]["conditions"]["zero_shot"]["stochastic"]["checked_answers"][1] = None
    release.add("m", lines)
    status = {
        row[:2]: row[2]
        for row in answers(import_release(release.folder), "question_id", "draw", "status")
    }
    assert [status["2", draw] for draw in range(3)] == ["error", "ok", "ok"]
    assert [status["10", draw] for draw in range(3)] == ["error", "error", "error"]
    assert [status["1", draw] for draw in range(3)] == ["ok", "ok", "error"]


def test_a_request_that_failed_is_an_error_and_not_an_answer(release):
    lines = [line(number) for number in KEYS]
    lines[0]["conditions"]["zero_shot"]["greedy"]["error"] = "timeout"
    lines[1]["conditions"]["zero_shot"]["stochastic"] = {
        "raw_outputs": [],
        "checked_answers": [],
        "error": "timeout",
    }
    release.add("m", lines)
    runs = import_release(release.folder)
    given = answer_arrays(runs)["m", "closed_book"]
    assert given.greedy.tolist() == [0, 0, -2]  # items 1, 10, 2
    assert given.samples.tolist() == [[0, 1], [-2, -2], [0, 1]]
    assert runs.answers.filter(status="error").select("question_id", "draw").rows() == [
        ("10", 1),
        ("10", 2),
        ("2", 0),
    ]


def test_what_a_failed_request_left_is_no_output_to_be_read_again(release):
    lines = [line(number) for number in KEYS]
    lines[0]["conditions"]["zero_shot"]["greedy"] |= {
        "raw_output": "Error: option B timed out",
        "error": "timeout",
    }
    lines[1]["conditions"]["zero_shot"]["stochastic"] |= {
        "raw_outputs": ["B", "Error 500"],
        "error": "timeout",
    }
    release.add("m", lines)
    failed = import_release(release.folder).answers.filter(status="error")
    assert failed.select("question_id", "draw", "text").rows() == [
        ("10", 1, None),
        ("10", 2, None),
        ("2", 0, None),
    ]


def test_conditions_get_our_names(release):
    published = {name: cell("A", "A") for name in (*PUBLISHED_NAMES, "something_else")}
    release.add("m", [line(number, published) for number in KEYS])
    assert import_release(release.folder).conditions == (
        *(
            "closed_book",
            "clean",
            "conflict",
            "rag",
            "rag_top1",
            "rag_top5",
            "rag_padded_top1",
            "agentic",
        ),
        *("context_32k", "context_100k", "max_context", "something_else"),
    )


def test_answers_without_samples_are_greedy_answers(release):
    lines = [line(number) for number in KEYS]
    for each in lines:
        del each["conditions"]["zero_shot"]["stochastic"]
    release.add("m", lines)
    runs = import_release(release.folder)
    assert runs.draws == {("m", "closed_book"): 0}
    assert runs.about["models"]["m"]["settings"] == {"draws": 0}


def test_models_may_have_different_numbers_of_samples(release):
    release.add(
        "m",
        [
            line(number, {"zero_shot": cell("A", "AAAAA"), "top_1": cell("A", "A")})
            for number in KEYS
        ],
    )
    release.add("n")
    runs = import_release(release.folder)
    assert runs.draws == {("m", "closed_book"): 5, ("m", "rag_top1"): 1, ("n", "closed_book"): 2}
    assert runs.about["models"]["m"]["by_condition"] == {
        "closed_book": {"draws": 5},
        "rag_top1": {"draws": 1},
    }


def test_raw_texts_of_every_script_are_kept(release):
    lines = [line(number) for number in KEYS]
    lines[0]["conditions"]["zero_shot"]["greedy"]["raw_output"] = text = (
        'Antwort: Ä\u2028\n"B"\t答え 😀 \u0000'
    )
    release.add("m", lines)
    assert (
        import_release(release.folder).answers.filter(question_id="2", draw=0)["text"].item()
        == text
    )


def test_a_number_that_is_none_is_unknown(release):
    release.add(
        "m", [line(number, {"zero_shot": cell("A", "A", seconds=float("nan"))}) for number in KEYS]
    )
    runs = import_release(release.folder)  # Python writes NaN, which JSON does not know
    assert runs.answers["latency_s"].null_count() == runs.answers.height


def test_half_a_character_in_an_output_is_replaced_and_costs_nothing(release):
    lines = [line(number) for number in KEYS]
    # as a model's cut-off emoji is logged
    lines[0]["conditions"]["zero_shot"]["greedy"]["raw_output"] = "A \ud83d!"
    release.add("m", lines)
    answers = import_release(release.folder).answers
    assert answers.filter(question_id="2", draw=0).select("response", "text").row(0) == (
        "A",
        "A \ufffd!",
    )
    assert answers.height == 9


# --- one bad model never costs the others ---------------------------------------------------------


def torn(text):
    return text[:-40]


def torn_inside(text):
    return text.replace("conditions", "condi\n", 1)


def with_first(change):
    def damage(text):
        first, *rest = text.splitlines()
        fields = json.loads(first)
        change(fields)
        return "\n".join([json.dumps(fields), *rest])

    return damage


def answer(letter):
    return with_first(
        lambda fields: fields["conditions"]["zero_shot"]["greedy"]["checked_answer"].update(
            confirmed_answer=letter
        )
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (torn, r"jsonl:3: half-written last line"),
        (torn_inside, r"jsonl:1: not JSON"),
        (
            lambda text: text + text.splitlines()[0],
            r"jsonl:4: item risk_radiorag_2 stands twice, first on line 1",
        ),
        (
            lambda text: text.replace("radiorag_10", "radiorag_77"),
            r"jsonl:2: item risk_radiorag_77 is not in the data set",
        ),
        (answer(3), r"jsonl:1: Expected `str \| null`, got `int`.*confirmed_answer"),
        (
            with_first(lambda fields: fields.update(correct_answer="D")),
            r"jsonl:1: item .*_2 has the key 'D', in the data set 'A'",
        ),
        (
            with_first(lambda fields: fields["conditions"].update(closed_book=cell("A", "AB"))),
            "closed_book under two names",
        ),
        (
            with_first(lambda fields: fields.pop("conditions")),
            r"jsonl:1: .*missing required field `conditions`",
        ),
        (
            with_first(
                lambda fields: fields["conditions"]["zero_shot"]["greedy"].update(
                    input_tokens=2**63
                )
            ),
            r"jsonl:1: Expected `float` <= .*input_tokens",
        ),
        (lambda _: "", r"holds no answers"),
        (lambda _: "[]\n", r"jsonl:1: Expected `object`, got `array`"),
        (
            lambda text: text.replace("risk", "\ud800").encode("utf-8", "surrogatepass"),
            r"jsonl:1: not JSON",
        ),
    ],
)
def test_a_damaged_file_costs_its_own_model_alone(release, damage, reason):
    release.add("good")
    release.add("bad")
    damaged = damage(release.file("bad").read_text())
    release.file("bad").write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    runs = import_release(release.folder)
    assert runs.models == ("good",)
    assert runs.answers.height == 9
    (entry,) = runs.about["left_out"]
    assert (entry["model"], entry["condition"]) == ("bad", None)
    assert re.search(reason, entry["reason"])


def test_a_model_without_a_file_is_left_out(release):
    release.add("good")
    release.file("bad").parent.mkdir()
    assert import_release(release.folder).about["left_out"] == [
        {"model": "bad", "condition": None, "reason": "no risk_radiorag_checked.jsonl"}
    ]


def test_a_model_whose_folders_name_is_no_text_is_left_out(release):
    release.add("m")
    release.add(os.fsdecode(b"bad\xff"))
    runs = import_release(release.folder)
    assert runs.models == ("m",)
    assert [(each["model"], each["reason"]) for each in runs.about["left_out"]] == [
        ("bad\\udcff", "the name of its folder is not UTF-8")
    ]


def test_a_condition_that_lacks_items_is_left_out_and_the_others_stay(release):
    both = {"zero_shot": cell("A", "AB"), "top_10": cell("A", "AB")}
    release.add("m", [line(2, both), line(10, both), line(1)])
    runs = import_release(release.folder)
    assert runs.conditions == ("closed_book",)
    assert runs.about["left_out"] == [
        {"model": "m", "condition": "rag", "reason": "1 of 3 items are missing: 1"}
    ]


@pytest.mark.parametrize("letter", ["E", "a", "AB", ""])
def test_an_impossible_letter_costs_that_answer_alone(release, letter):
    release.add("m")
    release.file("m").write_text(answer(letter)(release.file("m").read_text()))
    runs = import_release(release.folder)
    given = answer_arrays(runs)["m", "closed_book"]
    assert given.greedy.tolist() == [0, 0, -2]  # items 1, 10, 2
    assert given.samples.tolist() == [[0, 1]] * 3
    assert runs.answers.filter(status="error")["text"].to_list() == ["text A"]
    assert runs.about["left_out"] == [
        {
            "model": "m",
            "condition": "closed_book",
            "reason": "not scored: 1 answers that are no option of their item: 2",
        }
    ]


def test_an_impossible_letter_among_samples_costs_that_sample_alone(release):
    cells = {2: cell("A", "AE"), 10: cell("A", "AB"), 1: cell("A", "AB")}
    release.add("m", [line(number, {"zero_shot": each}) for number, each in cells.items()])
    given = answer_arrays(import_release(release.folder))["m", "closed_book"]
    assert given.greedy.tolist() == [0, 0, 0]
    assert given.samples.tolist() == [[0, 1], [0, 1], [0, -2]]


@pytest.mark.parametrize("samples", ["", "A", "ABA"])
def test_another_number_of_samples_costs_those_samples_alone(release, samples):
    cells = {2: cell("A", "AB"), 10: cell("A", samples), 1: cell("A", "AB")}
    release.add("m", [line(number, {"zero_shot": each}) for number, each in cells.items()])
    runs = import_release(release.folder)
    given = answer_arrays(runs)["m", "closed_book"]
    assert given.greedy.tolist() == [0, 0, 0]
    assert given.samples.tolist() == [[0, 1], [-2, -2], [0, 1]]
    (entry,) = runs.about["left_out"]
    assert entry["reason"] == (
        "not scored: the samples of 1 items that have not 2 checked answers and as many samples: "
        f"10 ({len(samples)} of {len(samples)} samples)"
    )


def test_one_item_with_samples_does_not_cost_the_greedy_answers_of_others(release):
    cells = {2: cell("A", "AB"), 10: cell("A", ""), 1: cell("A", "")}
    release.add("m", [line(number, {"zero_shot": each}) for number, each in cells.items()])
    given = answer_arrays(import_release(release.folder))["m", "closed_book"]
    assert given.greedy.tolist() == [0, 0, 0]
    assert given.samples.tolist() == [[-2, -2], [-2, -2], [0, 1]]


def test_a_condition_that_only_others_were_asked_under_is_listed(release):
    release.add(
        "m",
        [
            line(number, {"zero_shot": cell("A", ""), "context_max": cell("A", "")})
            for number in KEYS
        ],
    )
    release.add("small")
    runs = import_release(release.folder)
    assert runs.about["left_out"] == [
        {"model": "small", "condition": "max_context", "reason": "not asked under this condition"}
    ]


def test_if_no_model_is_left_the_reasons_are_the_error(release):
    for name in ("m", "n"):
        release.add(name)
        release.file(name).write_text("{")
    with pytest.raises(
        SafescaleError, match=r"no answers that can be used\n  m: .*half-written.*\n  n: "
    ):
        import_release(release.folder)


@pytest.mark.parametrize(
    "gone", ["datasets/risk_radiorag_full_merged.json", "phase4_checking_results/results"]
)
def test_a_folder_of_another_layout_is_refused_with_what_was_expected(release, gone):
    (release.folder / gone).rename(release.folder / "elsewhere")
    with pytest.raises(SafescaleError, match=f"no {gone} in it; expected published answers"):
        import_release(release.folder)


def test_damaged_questions_are_an_error_of_the_data_set(release):
    release.add("m")
    path = release.folder / "datasets" / "risk_radiorag_full_merged.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(SafescaleError, match="half-written"):
        import_release(release.folder)


def test_every_model_is_told_as_it_is_read(release):
    release.add("m")
    release.add("n")
    told = []
    import_release(release.folder, told.append)
    assert told == ["m", "n"]

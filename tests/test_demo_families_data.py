"""What the datasheets of noharm_demo and medguard_demo say is what their files hold, read without
code of ours; and the sources of these names are these files.
"""

import hashlib
import json
import math
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import pytest

from lm_eval_safescale.families import medguard
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS, load_demo

DATA = Path(__file__).resolve().parent.parent / "data"
CASES_FILE = DATA / "noharm_demo" / "cases.jsonl"
CASES = [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]
OPTIONS = [(case, option) for case in CASES for option in case["options"]]
QUESTIONS_FILE = DATA / "medguard_demo" / "questions.jsonl"
QUESTIONS = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
ANSWERS = [(question, *option) for question in QUESTIONS for option in question["options"].items()]

CATEGORIES = ("Counseling", "Diagnostic", "Medication", "Procedure", "Follow-up")
REFERENCES = ("appropriate", "inappropriate", "uncertain")
SEVERITIES = ("none", "mild", "moderate", "severe")
RATERS = ("rater_1", "rater_2", "rater_3")
ASPECTS = {
    "truthfulness": ("hallucination", "sycophancy"),
    "resilience": ("misinformation pressure", "harmful requests"),
    "fairness": ("equity", "stereotype awareness"),
    "robustness": ("error tolerance", "multilingual"),
    "privacy": ("confidentiality", "consent"),
}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
each_file = pytest.mark.parametrize(
    "file", [CASES_FILE, QUESTIONS_FILE], ids=lambda file: file.parent.name
)


def datasheet(file: Path) -> str:
    return (file.parent / "DATASHEET.md").read_text(encoding="utf-8")


def table(text: str, *header: str) -> list[list[str]]:
    """Rows of the one table with this header."""
    _, head, rest = text.partition(f"| {' | '.join(header)} |\n")
    assert head, f"no table with header {header}"
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def counts(file: Path) -> dict[str, str]:
    return dict(table(datasheet(file), "count", "value"))


def correlation(x: list[float], y: list[float]) -> float:
    """Pearson's r."""
    a, b = fmean(x), fmean(y)
    both = sum((i - a) * (j - b) for i, j in zip(x, y, strict=True))
    return both / (sum((i - a) ** 2 for i in x) * sum((j - b) ** 2 for j in y)) ** 0.5


def spread(name: str, values: list[int]) -> dict[str, object]:
    return {
        f"{name}, least": min(values),
        f"{name}, median": median(values),
        f"{name}, most": max(values),
    }


def plain(values: dict[str, object]) -> dict[str, str]:
    return {name: f"{value:g}" for name, value in values.items()}


def referrals(case: dict, reference: str) -> int:
    return sum(
        option["referral"] and option["reference"] == reference for option in case["options"]
    )


def can_err_severely(case: dict, reference: str) -> bool:
    return any(
        option["reference"] == reference and option["severity"] == "severe"
        for option in case["options"]
    )


def leanings(groups: list[list[tuple[str, bool]]]) -> list[list[float]]:
    """For each text, the log odds of True by naive Bayes on the presence of words (add one),
    trained on all other groups."""
    words = [
        [(set(re.findall(r"\w+", text.lower())), label) for text, label in group]
        for group in groups
    ]
    of_group = [Counter(label for _, label in group) for group in words]
    with_word = [
        Counter((word, label) for found, label in group for word in found) for group in words
    ]
    all_texts, all_words = sum(of_group, Counter()), sum(with_word, Counter())
    result = []
    for group, own, own_words in zip(words, of_group, with_word, strict=True):
        n = {label: all_texts[label] - own[label] for label in (True, False)}

        def share(word: str, label: bool, n: dict = n, own_words: Counter = own_words) -> float:
            return (all_words[word, label] - own_words[word, label] + 1) / (n[label] + 2)

        prior = math.log(n[True] / n[False])
        result.append(
            [
                prior + sum(math.log(share(w, True) / share(w, False)) for w in sorted(found))
                for found, _ in group
            ]
        )
    return result


# --- each -----------------------------------------------------------------------------------------


@each_file
def test_the_datasheet_belongs_to_this_file(file):
    assert f"`{hashlib.sha256(file.read_bytes()).hexdigest()}`" in datasheet(file)


@each_file
def test_the_datasheet_says_invented_and_not_for_clinical_use_before_anything_else(file):
    head = datasheet(file).partition("\n## ")[0]
    for words in (
        "invented",
        "not clinical advice",
        "not validated by clinicians",
        "says nothing about",
    ):
        assert words in " ".join(head.split()), words
    assert "Apache-2.0" in datasheet(file)


def test_texts_are_clean():
    texts = [case["case"] for case in CASES] + [option["text"] for _, option in OPTIONS]
    texts += [question["question"] for question in QUESTIONS] + [text for *_, text in ANSWERS]
    assert [
        text
        for text in texts
        if text != text.strip() or re.search(r"\s\s|[\x00-\x1f\x7f\u200b\ufeff]", text)
    ] == []


# --- noharm_demo ----------------------------------------------------------------------------------


def test_the_counts_of_the_cases_are_those_of_the_datasheet():
    kinds = Counter((option["reference"], option["severity"]) for _, option in OPTIONS)
    found = {
        "cases": len(CASES),
        "specialties": len({case["specialty"] for case in CASES}),
        "options": len(OPTIONS),
        **spread("options of a case", [len(case["options"]) for case in CASES]),
        **{
            f"category {name}": sum(option["category"] == name for _, option in OPTIONS)
            for name in CATEGORIES
        },
        **{name: sum(option["reference"] == name for _, option in OPTIONS) for name in REFERENCES},
        **{
            f"{name}, severity {severity}": kinds[name, severity]
            for name in REFERENCES[:2]
            for severity in SEVERITIES
        },
        "highly appropriate": sum(option["highly"] for _, option in OPTIONS),
        "cases without a highly appropriate option": sum(
            not any(o["highly"] for o in case["options"]) for case in CASES
        ),
        "cases in which an omission can be severe": sum(
            can_err_severely(case, "appropriate") for case in CASES
        ),
        "cases in which a commission can be severe": sum(
            can_err_severely(case, "inappropriate") for case in CASES
        ),
        **{
            f"referrals, {name}": sum(referrals(case, name) for case in CASES)
            for name in REFERENCES
        },
        "cases that need a referral": sum(referrals(case, "appropriate") > 0 for case in CASES),
        **spread("words of a case", [len(case["case"].split()) for case in CASES]),
        **spread("words of an option", [len(option["text"].split()) for _, option in OPTIONS]),
    }
    assert counts(CASES_FILE) == plain(found)


def test_the_cases_are_those_of_the_datasheet():
    found = [
        [
            case["id"],
            case["specialty"],
            str(len(case["options"])),
            *(
                str(sum(option["reference"] == name for option in case["options"]))
                for name in REFERENCES
            ),
            str(sum(option["highly"] for option in case["options"])),
            "needed"
            if referrals(case, "appropriate")
            else "uncertain"
            if referrals(case, "uncertain")
            else "not needed",
        ]
        for case in CASES
    ]
    assert (
        table(
            datasheet(CASES_FILE), "case", "specialty", "options", *REFERENCES, "highly", "referral"
        )
        == found
    )


def test_the_kinds_of_cases_that_metrics_treat_apart_all_occur():
    assert any(not any(option["highly"] for option in case["options"]) for case in CASES)
    needs = {case["id"]: [referrals(case, name) for name in REFERENCES] for case in CASES}
    assert any(appropriate == uncertain == 0 for appropriate, _, uncertain in needs.values())
    assert any(appropriate == 0 < uncertain for appropriate, _, uncertain in needs.values())
    assert any(appropriate > 1 for appropriate, *_ in needs.values())
    assert {can_err_severely(case, "appropriate") for case in CASES} == {True, False}
    assert any(
        option["highly"] != (option["severity"] == "severe")
        for _, option in OPTIONS
        if option["reference"] == "appropriate"
    )


@each_case
def test_a_case_is_whole(case):
    assert set(case) == {"id", "specialty", "case", "options"}
    assert re.fullmatch(r"[A-Z][a-z]{3}\d{3}", case["id"])
    assert case["specialty"].startswith(case["id"][:4])
    assert 120 <= len(case["case"].split()) <= 250
    assert case["case"].endswith("?")
    assert 25 <= len(case["options"]) <= 40
    assert [option["id"] for option in case["options"]] == list(range(1, len(case["options"]) + 1))
    assert {option["category"] for option in case["options"]} == set(CATEGORIES)
    assert {option["reference"] for option in case["options"]} == set(REFERENCES)


def test_an_option_is_whole_and_does_not_contradict_itself():
    for _, option in OPTIONS:
        assert set(option) == {
            "id",
            "category",
            "text",
            "reference",
            "severity",
            "referral",
            "highly",
        }
        assert option["severity"] in SEVERITIES
        assert {type(option["referral"]), type(option["highly"])} == {bool}
        assert option["severity"] == "none" or option["reference"] != "uncertain"
        assert not option["highly"] or (
            option["reference"] == "appropriate" and option["severity"] != "none"
        )


def test_no_case_and_no_option_comes_twice():
    for texts in (
        [case["id"] for case in CASES],
        [case["case"] for case in CASES],
        [o["text"].casefold() for _, o in OPTIONS],
    ):
        assert len(set(texts)) == len(texts)


def test_neither_place_nor_length_tells_what_an_option_is():
    place = [(option["id"] - 1) / (len(case["options"]) - 1) for case, option in OPTIONS]
    length = [len(option["text"]) for _, option in OPTIONS]
    found = []
    for name in REFERENCES:
        is_it = [option["reference"] == name for _, option in OPTIONS]
        by_case = [
            abs(
                correlation(
                    [o["id"] for o in case["options"]],
                    [o["reference"] == name for o in case["options"]],
                )
            )
            for case in CASES
        ]
        r = (correlation(place, is_it), max(by_case), correlation(length, is_it))
        assert abs(r[0]) < 0.1
        assert r[1] <= 0.2
        assert abs(r[2]) < 0.1
        mean_length = fmean(n for n, flag in zip(length, is_it, strict=True) if flag)
        found.append([name, *(f"{value:.2f}" for value in r), f"{mean_length:.0f}"])
    header = (
        "reference",
        "r with place",
        "largest r with place in a case",
        "r with length",
        "mean characters",
    )
    assert table(datasheet(CASES_FILE), *header) == found


def test_the_hints_in_the_words_of_an_option_are_those_of_the_datasheet():
    groups = [
        [(option["text"], option["reference"] == "appropriate") for option in case["options"]]
        for case in CASES
    ]
    scored = [
        (score, label)
        for g, scores in zip(groups, leanings(groups), strict=True)
        for score, (_, label) in zip(scores, g, strict=True)
    ]
    yes, no = (
        [score for score, label in scored if label],
        [score for score, label in scored if not label],
    )
    area = fmean((a > b) + (a == b) / 2 for a in yes for b in no)
    assert f"area under the curve of {area:.2f} " in " ".join(datasheet(CASES_FILE).split())


def test_the_source_is_this_file_in_the_version_and_with_the_fingerprint_of_its_registration():
    demo, text = load_demo(), datasheet(CASES_FILE)
    assert [item.question_id for item in demo] == sorted(case["id"] for case in CASES)
    assert (demo.name, demo.is_demo, demo.family) == ("noharm_demo", True, "noharm_options")
    assert {item.question_id: item.groups["specialty"] for item in demo} == {
        case["id"]: case["specialty"] for case in CASES
    }
    assert f"noharm_demo {demo.version}" in text
    assert f"version {demo.version}" in text
    assert demo.fingerprint in text
    assert [warning.item for warning in demo.warnings] == [
        case["id"] for case in CASES if not any(o["highly"] for o in case["options"])
    ]


def test_a_copy_of_the_file_under_another_name_is_known_to_be_the_demo(tmp_path):
    copy = tmp_path / "ours.jsonl"
    copy.write_bytes(CASES_FILE.read_bytes())
    assert NOHARM_OPTIONS.load(copy).is_demo


# --- medguard_demo -------------------------------------------------------------------------------


def test_the_counts_of_the_questions_are_those_of_the_datasheet():
    unsafe = Counter(
        len(question["unsafe"]) if "unsafe" in question else None for question in QUESTIONS
    )
    found = {
        "questions": len(QUESTIONS),
        "principles": len({question["principle"] for question in QUESTIONS}),
        "aspects": len({question["aspect"] for question in QUESTIONS}),
        "questions of an aspect": len(QUESTIONS) / 10,
        **{
            f"questions with {n} options": sum(
                len(question["options"]) == n for question in QUESTIONS
            )
            for n in (3, 4, 5)
        },
        "options": len(ANSWERS),
        **{
            f"safe key {letter}": sum(question["safe"] == letter for question in QUESTIONS)
            for letter in "ABCDE"
        },
        "options marked unsafe": sum(len(question.get("unsafe", ())) for question in QUESTIONS),
        "questions with every other option unsafe": sum(
            len(question.get("unsafe", ())) == len(question["options"]) - 1
            for question in QUESTIONS
        ),
        "questions with `unsafe` empty": unsafe[0],
        "questions without `unsafe`": unsafe[None],
        "answers of raters": sum(
            question["raters"].get(name) is not None for question in QUESTIONS for name in RATERS
        ),
        "answers of raters, null": sum(
            None in question["raters"].values() for question in QUESTIONS
        ),
        "answers of raters, absent": sum(3 - len(question["raters"]) for question in QUESTIONS),
    }
    assert counts(QUESTIONS_FILE) == plain(found)


def test_every_aspect_has_six_questions_and_the_datasheet_names_it():
    found = Counter((question["principle"], question["aspect"]) for question in QUESTIONS)
    assert found == {
        (principle, aspect): 6 for principle, aspects in ASPECTS.items() for aspect in aspects
    }
    rows = table(datasheet(QUESTIONS_FILE), "principle", "aspect", "named by", "asks")
    assert [(row[0], row[1]) for row in rows] == list(found)
    assert [row[1] for row in rows if row[2] == "us"] == [
        "misinformation pressure",
        "harmful requests",
        "consent",
    ]


@each_question
def test_a_question_is_whole(question):
    assert set(question) | {"unsafe"} == {
        "id",
        "principle",
        "aspect",
        "question",
        "options",
        "safe",
        "unsafe",
        "raters",
    }
    letters = list(question["options"])
    assert letters == list("ABCDE"[: len(letters)])
    assert 3 <= len(letters) <= 5
    assert question["safe"] in letters
    unsafe = question.get("unsafe", [])
    assert unsafe == sorted(set(unsafe))
    assert set(unsafe) <= set(letters) - {question["safe"]}
    assert set(question["raters"]) <= set(RATERS)
    assert {answer for answer in question["raters"].values() if answer is not None} <= set(letters)


def test_ids_count_up_and_no_question_and_no_option_comes_twice():
    assert [question["id"] for question in QUESTIONS] == [f"mg-{n:03d}" for n in range(1, 61)]
    for texts in (
        [question["question"] for question in QUESTIONS],
        [text.casefold() for *_, text in ANSWERS],
    ):
        assert len(set(texts)) == len(texts)


def test_the_multilingual_questions_are_in_six_languages():
    rows = table(datasheet(QUESTIONS_FILE), "question", "language")
    assert [row[0] for row in rows] == [
        question["id"] for question in QUESTIONS if question["aspect"] == "multilingual"
    ]
    assert len({row[1] for row in rows}) == 6
    common = {
        "German": "und",
        "French": "le",
        "Spanish": "de",
        "Italian": "la",
        "Portuguese": "uma",
        "Dutch": "een",
    }
    for (name, language), question in zip(
        rows, (q for q in QUESTIONS if q["aspect"] == "multilingual"), strict=True
    ):
        texts = " ".join([question["question"], *question["options"].values()])
        assert common[language] in re.findall(r"\w+", texts), name


def test_neither_letter_nor_length_tells_the_safe_option():
    for n in (3, 4, 5):
        of_this_size = [question for question in QUESTIONS if len(question["options"]) == n]
        keys = Counter(question["safe"] for question in of_this_size)
        assert set(keys) == set("ABCDE"[:n])
        assert max(keys.values()) - min(keys.values()) <= 1
    for name, aspects in ASPECTS.items():
        for aspect in aspects:
            keys = Counter(
                question["safe"] for question in QUESTIONS if question["aspect"] == aspect
            )
            assert max(keys.values()) <= 3, (name, aspect)
    ranked = [
        (sorted(question["options"].values(), key=len), question["options"][question["safe"]])
        for question in QUESTIONS
    ]
    longest = sum(
        len(safe) == len(texts[-1]) and len(texts[-2]) < len(safe) for texts, safe in ranked
    )
    shortest = sum(
        len(safe) == len(texts[0]) and len(texts[1]) > len(safe) for texts, safe in ranked
    )
    chance = sum(1 / len(question["options"]) for question in QUESTIONS)
    is_safe = [letter == question["safe"] for question, letter, _ in ANSWERS]
    length = [len(text) for *_, text in ANSWERS]

    def mean_length(is_it):
        return fmean(n for n, safe in zip(length, is_safe, strict=True) if safe == is_it)

    found = {
        "safe option longer than every other": f"{longest} of 60",
        "safe option shorter than every other": f"{shortest} of 60",
        "either, expected by chance": f"{chance:.1f} of 60",
        "mean characters of safe options": f"{mean_length(True):.0f}",
        "mean characters of other options": f"{mean_length(False):.0f}",
        "r of length and safe": f"{correlation(length, is_safe):.2f}",
    }
    assert abs(longest - chance) <= 4
    assert abs(shortest - chance) <= 4
    assert abs(correlation(length, is_safe)) < 0.1
    assert dict(table(datasheet(QUESTIONS_FILE), "check of length", "value")) == found


def test_the_hints_in_the_words_of_the_safe_option_are_those_of_the_datasheet():
    groups = [
        [(text, letter == q["safe"]) for letter, text in q["options"].items()] for q in QUESTIONS
    ]
    right = sum(
        group[scores.index(max(scores))][1]
        for group, scores in zip(groups, leanings(groups), strict=True)
    )
    assert f"chooses the safe one in {right} of 60 " in " ".join(datasheet(QUESTIONS_FILE).split())


def test_the_raters_are_as_right_and_as_much_of_one_mind_as_the_datasheet_says():
    answers = {
        name: {q["id"]: q["raters"][name] for q in QUESTIONS if q["raters"].get(name)}
        for name in RATERS
    }
    safe = {question["id"]: question["safe"] for question in QUESTIONS}
    found = []
    for name, given in answers.items():
        right = sum(answer == safe[item] for item, answer in given.items())
        assert 0.7 <= right / len(given) <= 0.95
        found.append([name, str(len(given)), str(right), f"{right / len(given):.2f}"])
    assert table(datasheet(QUESTIONS_FILE), "rater", "answers", "safe", "share") == found
    assert table(datasheet(QUESTIONS_FILE), "raters", "questions", "agree", "kappa") == [
        [f"{a[-1]} and {b[-1]}", *cohen(answers[a], answers[b])] for a, b in combinations(RATERS, 2)
    ]


def cohen(a: dict[str, str], b: dict[str, str]) -> tuple[str, str, str]:
    """Questions answered by both, share of agreement, Cohen's kappa over letters."""
    both = [(a[item], b[item]) for item in a if item in b]
    agree = fmean(x == y for x, y in both)
    first, second = Counter(x for x, _ in both), Counter(y for _, y in both)
    chance = sum(first[letter] * second[letter] for letter in first) / len(both) ** 2
    return str(len(both)), f"{agree:.2f}", f"{(agree - chance) / (1 - chance):.2f}"


def test_the_source_of_the_questions_is_this_file_in_the_version_it_is_registered_with():
    demo, text = medguard.load_demo(), datasheet(QUESTIONS_FILE)
    assert [item.question_id for item in demo] == [question["id"] for question in QUESTIONS]
    assert (demo.name, demo.is_demo, demo.family) == ("medguard_demo", True, "medguard")
    assert [item.groups for item in demo] == [
        {name: question[name] for name in ("principle", "aspect")} for question in QUESTIONS
    ]
    assert f"medguard_demo {demo.version}" in text
    assert f"version {demo.version}" in text
    assert demo.fingerprint in text
    assert demo.warnings == ()


def test_a_copy_of_the_questions_under_another_name_is_known_to_be_the_demo(tmp_path):
    copy = tmp_path / "ours.jsonl"
    copy.write_bytes(QUESTIONS_FILE.read_bytes())
    assert medguard.MEDGUARD.load(copy).is_demo

"""What the datasheets of noharm_demo, medguard_demo and noharm_text_demo say is what their files
hold, read without code of ours; and the sources of these names are these files.
"""

import hashlib
import json
import math
import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import pytest
import yaml

from lm_eval_safescale.families import medguard, noharm_text
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS, load_demo

DATA = Path(__file__).resolve().parent.parent / "data"
CASES_FILE = DATA / "noharm_demo" / "cases.jsonl"
CASES = [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]
OPTIONS = [(case, option) for case in CASES for option in case["options"]]
QUESTIONS_FILE = DATA / "medguard_demo" / "questions.jsonl"
QUESTIONS = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
ANSWERS = [(question, *option) for question in QUESTIONS for option in question["options"].items()]
KIT = DATA / "noharm_text_demo"
ITEMS_FILE = KIT / "dataset" / "items.jsonl"
ITEMS = {
    item["id"]: item
    for item in map(json.loads, ITEMS_FILE.read_text(encoding="utf-8").splitlines())
}
RUBRICS = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((KIT / "dataset" / "rubrics").iterdir())
}
GUIDES = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((KIT / "guidance").iterdir())
}
RUBRIC_OPTIONS = [option for rubric in RUBRICS.values() for option in rubric["options"]]

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
each_rubric = pytest.mark.parametrize("name", RUBRICS)
each_file = pytest.mark.parametrize(
    "file",
    [CASES_FILE, QUESTIONS_FILE, ITEMS_FILE],
    ids=lambda file: file.relative_to(DATA).parts[0],
)


def datasheet(file: Path) -> str:
    folder = DATA / file.relative_to(DATA).parts[0]
    return (folder / "DATASHEET.md").read_text(encoding="utf-8")


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
    texts += [item["prompt"] for item in ITEMS.values()]
    texts += [option["text"] for option in RUBRIC_OPTIONS]
    texts += [rubric["case"]["recommendations"] for rubric in RUBRICS.values()]
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


# --- noharm_text_demo -----------------------------------------------------------------------------

TIERS = {"7-9": (7, 8, 9), "4-6": (4, 5, 6), "1-3": (1, 2, 3)}
ALTERNATIVE, HARM = "alternative", "harm"
CHANGED = (
    "Age",
    "Sex",
    "Lab values",
    "Medication",
    "Comorbidities and PMH",
    "Social/occupational",
    "Timeline",
    "Physical exam",
    "Presentation detail",
    "Family history",
)


def groups_of(options: list[dict], kind: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for option in options:
        if option["abstractionType"] == kind:
            found.setdefault(option["abstraction"], []).append(option)
    return found


def depth(options: list[dict], number: int, above: tuple[int, ...] = ()) -> int:
    """How many options must come before this one, one after another."""
    assert number not in above, f"options {above} depend on one another in a circle"
    return max(
        (1 + depth(options, n, (*above, number)) for n in options[number - 1]["dependsOn"]),
        default=0,
    )


def difference(base: str, changed: str) -> list[tuple[str, str]]:
    """Words that give way, and those that come in, from the first place to the last."""
    old, new = base.split(), changed.split()
    return [
        (" ".join(old[a:b]), " ".join(new[c:d]))
        for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if kind != "equal"
    ]


def kit_counts() -> dict[str, object]:
    alternatives = [
        group
        for rubric in RUBRICS.values()
        for group in groups_of(rubric["options"], ALTERNATIVE).values()
    ]
    harms = [
        group
        for rubric in RUBRICS.values()
        for group in groups_of(rubric["options"], HARM).values()
    ]
    chained = [
        depth(rubric["options"], option["id"]) > 1
        for rubric in RUBRICS.values()
        for option in rubric["options"]
    ]
    return {
        "base cases": len(RUBRICS),
        "items": len(ITEMS),
        "specialties": len({name[:4] for name in RUBRICS}),
        "options": len(RUBRIC_OPTIONS),
        **spread("options of a rubric", [len(rubric["options"]) for rubric in RUBRICS.values()]),
        **{
            f"category {name}": sum(option["category"] == name for option in RUBRIC_OPTIONS)
            for name in CATEGORIES
        },
        **{
            f"score {score}": sum(option["score"] == score for option in RUBRIC_OPTIONS)
            for score in range(9, 0, -1)
        },
        "alternative groups": len(alternatives),
        "alternative groups with a member below 7": sum(
            min(option["score"] for option in group) < 7 for group in alternatives
        ),
        "harm groups": len(harms),
        "options that depend on others": sum(bool(o["dependsOn"]) for o in RUBRIC_OPTIONS),
        "options that depend on a dependent option": sum(chained),
        "options marked as harm of inaction": sum(o["isHarmOfInaction"] for o in RUBRIC_OPTIONS),
        **spread("words of a base case", [len(ITEMS[name]["prompt"].split()) for name in RUBRICS]),
        **spread("words of an option", [len(o["text"].split()) for o in RUBRIC_OPTIONS]),
    }


def kit_rows() -> list[list[str]]:
    return [
        [
            name,
            *map(
                str,
                [
                    len(options := rubric["options"]),
                    *(sum(o["score"] in tier for o in options) for tier in TIERS.values()),
                    len(groups_of(options, ALTERNATIVE)),
                    sum(bool(option["dependsOn"]) for option in options),
                    len(ITEMS[name]["prompt"].split()),
                ],
            ),
        ]
        for name, rubric in RUBRICS.items()
    ]


def kit_changes() -> list[list[str]]:
    return [
        [name, item["metadata"]["category"], old, new]
        for name, item in ITEMS.items()
        for old, new in difference(ITEMS[item["metadata"]["base_id"]]["prompt"], item["prompt"])
    ]


def test_the_counts_of_the_rubrics_are_those_of_the_datasheet():
    assert counts(ITEMS_FILE) == plain(kit_counts())
    header = ("case", "about", "options", *(f"scores {tier}" for tier in TIERS))
    rows = table(datasheet(ITEMS_FILE), *header, "alternative groups", "dependent", "words")
    assert [[row[0], *row[2:]] for row in rows] == kit_rows()


def test_the_datasheet_shows_every_word_in_which_a_perturbation_differs_from_its_base_case():
    rows = table(datasheet(ITEMS_FILE), "item", "category", "base", "perturbation")
    assert rows == kit_changes()
    assert {row[0] for row in rows} == {name for name in ITEMS if name not in RUBRICS}


def test_the_datasheet_belongs_to_these_rubrics_and_hints():
    files = sorted([*(KIT / "dataset" / "rubrics").iterdir(), *(KIT / "guidance").iterdir()])
    joined = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert f"`{joined}`" in datasheet(ITEMS_FILE)


@each_rubric
def test_a_case_has_its_base_and_three_perturbations_and_they_ask_the_same(name):
    base, *changed = (item for item in ITEMS.values() if item["metadata"]["base_id"] == name)
    assert base["id"] == name
    assert base["metadata"] == {
        "base_id": name,
        "perturb_id": None,
        "category": "baseline",
        "candidate_id": None,
        "open": True,
    }
    assert [item["id"] for item in changed] == [f"{name}-{n}" for n in range(3)]
    assert [item["metadata"]["perturb_id"] for item in changed] == [0, 1, 2]
    assert len({item["metadata"]["category"] for item in changed}) == 3
    numbers = [item["metadata"]["candidate_id"] for item in changed]
    assert numbers == sorted(set(numbers))
    for item in changed:
        assert set(item) == {"id", "prompt", "metadata"}
        assert set(item["metadata"]) == set(base["metadata"])
        assert item["metadata"]["category"] in CHANGED
        parts = difference(base["prompt"], item["prompt"])
        assert 1 <= sum(max(len(old.split()), len(new.split())) for old, new in parts) <= 20
        question = base["prompt"].rpartition(". ")[2]
        assert question.endswith("?")
        assert item["prompt"].endswith(question)


def test_specialties_are_at_least_four_one_with_three_cases_and_some_with_fewer():
    found = Counter(name[:4] for name in RUBRICS)
    assert len(found) >= 4
    assert max(found.values()) >= 3 > min(found.values())


@each_rubric
def test_a_rubric_is_whole(name):
    rubric, options = RUBRICS[name], RUBRICS[name]["options"]
    assert (set(rubric), rubric["id"], rubric["open"]) == (
        {"id", "open", "case", "options", "abstractionGroups", "specialistConsult"},
        name,
        True,
    )
    assert rubric["case"]["presentation"] == ITEMS[name]["prompt"]
    assert [option["id"] for option in options] == list(range(1, len(options) + 1))
    assert 10 <= len(options) <= 16
    for option in options:
        assert set(option) == {
            *("id", "text", "category", "score", "bestInGroup", "isHarmOfInaction"),
            *("abstraction", "abstractionType", "dependsOn"),
        }
        assert option["category"] in CATEGORIES
        assert option["score"] in range(1, 10)
        assert {type(option["bestInGroup"]), type(option["isHarmOfInaction"])} == {bool}
        assert option["abstractionType"] in (None, ALTERNATIVE, HARM)
        assert option["abstraction"] or option["abstractionType"] is None
        assert option["abstractionType"] != HARM or option["score"] <= 3
        assert not option["isHarmOfInaction"] or option["score"] <= 3
        depth(options, option["id"])
    tiers = [option["score"] for option in options]
    assert min(tiers) <= 3
    assert max(tiers) >= 7


@each_rubric
def test_what_a_rubric_says_of_groups_and_referrals_names_its_options(name):
    rubric, options = RUBRICS[name], RUBRICS[name]["options"]
    groups = groups_of(options, ALTERNATIVE)
    assert [group["name"] for group in rubric["abstractionGroups"]] == list(groups)
    for group in rubric["abstractionGroups"]:
        assert set(group) == {"name", "pickCount", "pickType"}
        assert group["pickType"] in ("exact", "min")
        members = groups[group["name"]]
        assert 1 <= group["pickCount"] < len(members)
        best = [member for member in members if member["bestInGroup"]]
        assert len(best) == 1
        assert best[0]["score"] == max(member["score"] for member in members)
    in_groups = sum(len(members) for members in groups.values())
    assert sum(option["bestInGroup"] for option in options) == len(groups) <= in_groups
    for consult in rubric["specialistConsult"]["consults"]:
        option = options[consult["optionId"] - 1]
        assert option["category"] == "Follow-up"
        severity = {9: "Severe", 8: "Moderate", 7: "Mild"}[option["score"]]
        assert consult["harm"] == {"type": "omission", "severity": severity}
        assert consult["urgency"] in ("Routine", "Urgent")


@each_rubric
def test_the_hints_are_of_this_rubric_and_name_no_score(name):
    guide = GUIDES[name]
    assert (set(guide), guide["case_id"]) == (
        {"case_id", "spirit", "watchouts", "options"},
        name,
    )
    assert set(guide["options"]) <= {option["id"] for option in RUBRICS[name]["options"]}
    assert all(set(hint) == {"matching"} for hint in guide["options"].values())
    assert "score=" not in json.dumps(guide)


def test_rubrics_have_every_kind_of_option_that_scoring_treats_apart():
    assert {option["score"] for option in RUBRIC_OPTIONS} == set(range(1, 10))
    kinds: dict[tuple[str, str], set[str | None]] = {}
    for name, rubric in RUBRICS.items():
        for option in rubric["options"]:
            if option["abstraction"]:
                kinds.setdefault((name, option["abstraction"]), set()).add(
                    option["abstractionType"]
                )
    assert {ALTERNATIVE, None} in kinds.values()
    assert {ALTERNATIVE, HARM} in kinds.values()
    low_parent = [
        option
        for rubric in RUBRICS.values()
        for option in rubric["options"]
        if any(rubric["options"][n - 1]["score"] < 7 for n in option["dependsOn"])
    ]
    assert low_parent
    assert any(len(option["dependsOn"]) > 1 for option in RUBRIC_OPTIONS)


def test_no_option_comes_twice():
    texts = [option["text"].casefold() for option in RUBRIC_OPTIONS]
    assert len(set(texts)) == len(texts)


def test_the_source_of_the_rubrics_is_this_kit_in_the_version_it_is_registered_with():
    demo, text = noharm_text.load_demo(), datasheet(ITEMS_FILE)
    assert [item.question_id for item in sorted(demo, key=lambda item: item.place)] == list(ITEMS)
    assert (demo.name, demo.is_demo, demo.family) == ("noharm_text_demo", True, "noharm")
    assert {item.unit for item in demo} == set(RUBRICS)
    assert all(item.groups["specialty"] == item.question_id[:4] for item in demo)
    assert f"noharm_text_demo {demo.version}" in text
    assert f"version {demo.version}" in text
    assert demo.fingerprint in text
    (note,) = demo.warnings
    options = sum(len(rubric["options"]) for rubric in RUBRICS.values())
    assert note.message == (
        f"understood as: {len(RUBRICS)} cases, {len(ITEMS)} items, {options} options; hints for "
        f"the judge of {len(RUBRICS)}"
    )

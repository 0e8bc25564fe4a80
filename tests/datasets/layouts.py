"""Questions of our own in the layouts in which public data sets come: four plain ones, and each
layout's way of writing them.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

QUESTIONS = [
    ("Which vessel carries blood from the lungs?", ["aorta", "pulmonary vein", "vena cava"], 1),
    ("Which bone is in the thigh?", ["femur", "tibia", "ulna"], 0),
    ("Which organ stores bile?", ["liver", "spleen", "gallbladder"], 2),
    ("Which gland lies in the neck?", ["thyroid", "pineal", "adrenal"], 0),
]
PLAIN = [(f"q{number}", *each) for number, each in enumerate(QUESTIONS, 1)]
LETTERS = "ABC"


@dataclass(frozen=True)
class Layout:
    """A file, the settings that it is asked with, and what must be understood of it."""

    name: str
    file: str
    rows: list[Any]
    settings: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    """Part of the note; empty for none."""
    ids: tuple[str, ...] = ("q1", "q2", "q3", "q4")
    write: Any = None
    broken: dict[str, Any] | None = None
    """Fields of the first row by which it cannot be used."""
    found: tuple[str, str] = ("answer", "key")
    """Field and part of the message, then."""
    line: int = 1
    """On which the first row begins."""

    def text(self, rows: list[Any] | None = None) -> str:
        """The file's content."""
        return (self.write or as_lines)(self.rows if rows is None else rows)

    def broken_text(self) -> str:
        """The file with one field broken."""
        first, *others = self.rows
        if isinstance(first, list):
            return self.text([[*first[:-1], "E"], *others])
        if isinstance(first, tuple):
            return self.text([(first[0], first[1] | (self.broken or {})), *others])
        return self.text([first | (self.broken or {}), *others])


def as_lines(rows: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_object(rows: list[tuple[str, dict[str, Any]]]) -> str:
    """An object of objects by id."""
    return json.dumps(dict(rows), indent=1)


def as_csv(rows: list[Any], delimiter: str = ",") -> str:
    """A table, with names where the rows have them."""
    out = io.StringIO()
    if isinstance(rows[0], dict):
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(out, names, restval="", lineterminator="\n", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    else:
        csv.writer(out, lineterminator="\n", delimiter=delimiter).writerows(rows)
    return out.getvalue()


def texts(options: list[str]) -> dict[str, str]:
    """Options by letter."""
    return dict(zip(LETTERS, options, strict=True))


LINES = ("1", "2", "3", "4")
LAYOUTS = [
    Layout(
        "MedQA-USMLE",
        "test.jsonl",
        [
            {
                "question": question,
                "answer": options[key],
                "options": texts(options),
                "meta_info": "step1",
                "answer_idx": LETTERS[key],
            }
            for _, question, options, key in PLAIN
        ],
        said="ids are the numbers of lines",
        ids=LINES,
        broken={"answer_idx": "E"},
        found=("answer_idx", "'E' is not among the options A, B, C"),
    ),
    Layout(
        "MedMCQA",
        "dev.json",
        [
            {
                "id": id_,
                "question": question,
                "exp": "So it is.",
                "cop": key + 1,
                **dict(zip(("opa", "opb", "opc"), options, strict=True)),
                "subject_name": "Anatomy",
                "choice_type": "single",
            }
            for id_, question, options, key in PLAIN
        ],
        {"first_index": 1},
        said="key from cop",
        broken={"cop": 7},
        found=("answer", "key 7 counts from 1; expected 1 to 3"),
    ),
    Layout(
        "MMLU, files",
        "anatomy_test.csv",
        [[question, *options, LETTERS[key]] for _, question, options, key in PLAIN],
        said="no row names the columns; read as question, option_a, option_b, option_c, answer",
        ids=LINES,
        write=as_csv,
        found=("answer", "'E' is not among the options A, B, C"),
    ),
    Layout(
        "MMLU, hub",
        "anatomy.jsonl",
        [
            {"question": question, "subject": "anatomy", "choices": options, "answer": key}
            for _, question, options, key in PLAIN
        ],
        {"first_index": 0},
        said="ids are the numbers of lines",
        ids=LINES,
        broken={"answer": 3},
        found=("answer", "key 3 counts from 0; expected 0 to 2"),
    ),
    Layout(
        "MMLU-Pro",
        "test.jsonl",
        [
            {
                "question_id": id_,
                "question": question,
                "options": options,
                "answer": LETTERS[key],
                "answer_index": key,
                "cot_content": "",
                "category": "health",
                "src": "ours",
            }
            for id_, question, options, key in PLAIN
        ],
        broken={"options": ["aorta"]},
        found=("options", "1 option(s); expected at least 2"),
    ),
    Layout(
        "CareQA",
        "CareQA_en.json",
        [
            {
                "exam_id": 1,
                "question": question,
                **{f"op{number}": text for number, text in enumerate(options, 1)},
                "cop": key + 1,
                "year": 2024,
                "category": "Biology",
                "unique_id": id_,
            }
            for id_, question, options, key in PLAIN
        ],
        {"first_index": 1},
        said="options from op1, op2, op3; ids from unique_id; key from cop",
        broken={"op1": " "},
        found=("options", "letters B, C; expected A, B"),
        write=lambda rows: json.dumps(rows),
    ),
    Layout(
        "AfriMed-QA",
        "afri_med_qa.csv",
        [
            {
                "sample_id": id_,
                "question": question,
                "answer_options": json.dumps(
                    {f"option{number}": text for number, text in enumerate(options, 1)}
                ),
                "correct_answer": f"option{key + 1}",
                "question_type": "mcq",
                "specialty": "Anatomy",
            }
            for id_, question, options, key in PLAIN
        ]
        + [
            {"sample_id": "s1", "question": "Tell of bile.", "question_type": "saq"},
            {"sample_id": "s2", "question": "My knee?", "question_type": "consumer_queries"},
            {"sample_id": "s3", "question": "And bones?", "question_type": "saq"},
            {
                "sample_id": "s4",
                "question": "Which are organs?",
                "answer_options": json.dumps({"option1": "liver", "option2": "spleen"}),
                "correct_answer": "option1,option2",
                "question_type": "mcq",
            },
        ],
        said="left out as no multiple-choice questions, by question_type: consumer_queries (1), "
        "saq (2), several keys (1)",
        write=as_csv,
        broken={"correct_answer": "option9"},
        line=2,
        found=("answer", "'option9' is not among the options A, B, C"),
    ),
    Layout(
        "PubMedQA",
        "test_set.json",
        [
            (
                id_,
                {
                    "QUESTION": f"Is it {question[6:]}",
                    "CONTEXTS": ["We looked.", "We found."],
                    "LABELS": ["METHODS", "RESULTS"],
                    "MESHES": ["Humans"],
                    "YEAR": "2010",
                    "final_decision": ("yes", "no", "maybe")[key],
                    "LONG_ANSWER": "So it seems.",
                },
            )
            for id_, question, _, key in PLAIN
        ],
        said="ids are the names of the objects",
        write=as_object,
        broken={"final_decision": "perhaps"},
        line=2,
        found=("answer", "'perhaps' is not among the options A, B, C"),
    ),
    Layout(
        "MedXpertQA",
        "test.jsonl",
        [
            {
                "id": id_,
                "question": f"{question}\nAnswer Choices: "
                + " ".join(f"({letter}) {text}" for letter, text in texts(options).items()),
                "options": [
                    {"letter": letter, "content": text} for letter, text in texts(options).items()
                ],
                "label": LETTERS[key],
                "medical_task": "Basic Science",
            }
            for id_, question, options, key in PLAIN
        ],
        said="the options at its end are taken off",
        broken={"label": ["A", "B"]},
        found=("answer", "['A', 'B'] names several options; expected one"),
    ),
    Layout(
        "MedXpertQA, options in the question",
        "input.jsonl",
        [
            {
                "id": id_,
                "question": f"{question}\nAnswer Choices: "
                + " ".join(f"({letter}) {text}" for letter, text in texts(options).items()),
                "label": [LETTERS[key]],
            }
            for id_, question, options, key in PLAIN
        ],
        said="options from the end of the question",
        broken={"question": "Which?"},
        found=("options", "none in the text of the question; expected (A) ... (B) ..."),
    ),
    Layout(
        "HeadQA",
        "test.json",
        [
            {
                "name": f"exam {id_}",
                "year": "2017",
                "category": "medicine",
                "qid": 1,
                "qtext": question,
                "ra": key + 1,
                "answers": [{"aid": place, "atext": text} for place, text in enumerate(options, 1)],
            }
            for id_, question, options, key in PLAIN
        ],
        said="options from answers",
        ids=LINES,
        broken={"ra": 4},
        found=("answer", "key 4 is not among the options A, B, C"),
    ),
    Layout(
        "HeadQA, as published",
        "test_en.json",
        [
            {
                "qid": str(number % 2 + 1),
                "qtext": question,
                "ra": str(key + 1),
                "answers": [{"aid": place, "atext": text} for place, text in enumerate(options, 1)],
            }
            for number, (_, question, options, key) in enumerate(PLAIN)
        ],
        said="questions from 2 sections of 'exams'",
        ids=("exam 1-1", "exam 1-2", "exam 2-1", "exam 2-2"),
        write=lambda rows: json.dumps(
            {
                "version": "1.0",
                "exams": {
                    f"exam {number}": {"year": "2017", "data": rows[place : place + 2]}
                    for number, place in ((1, 0), (2, 2))
                },
            }
        ),
        broken={"ra": "4"},
        found=("answer", "key '4' is not among the options A, B, C"),
    ),
    Layout(
        "ARC, files",
        "ARC-Easy.jsonl",
        [
            {
                "id": id_,
                "question": {
                    "stem": question,
                    "choices": [
                        {"text": text, "label": letter} for letter, text in texts(options).items()
                    ],
                },
                "answerKey": LETTERS[key],
            }
            for id_, question, options, key in PLAIN
        ],
        said="key from answerKey",
        broken={"answerKey": ""},
        found=("answer", "missing key"),
    ),
    Layout(
        "ARC, hub",
        "arc.jsonl",
        [
            {
                "id": id_,
                "question": question,
                "choices": {"text": options, "label": ["1", "2", "3"]},
                "answerKey": str(key + 1),
            }
            for id_, question, options, key in PLAIN
        ],
        said="key from answerKey",
        broken={"answerKey": "4"},
        found=("answer", "'4' is not among the options A, B, C"),
    ),
    Layout(
        "CRAFT-MD",
        "usmle_public.csv",
        [
            {
                "case_id": id_,
                "case_vignette": question,
                "category": "Anatomy",
                **{f"choice_{number}": text for number, text in enumerate(options, 1)},
                "answer": options[key],
            }
            for id_, question, options, key in PLAIN
        ],
        said="question from case_vignette",
        write=as_csv,
        broken={"case_vignette": ""},
        line=2,
        found=("question", "missing or empty"),
    ),
    Layout(
        "mediQ",
        "all_dev_good.jsonl",
        [
            {
                "id": id_,
                "question": question.partition(" ")[2],
                "context": [question.partition(" ")[0]],
                "options": texts(options),
                "answer": options[key],
                "answer_idx": LETTERS[key],
                "facts": ["1. It is so."],
            }
            for id_, question, options, key in PLAIN
        ],
        {"columns": {"question": ["context", "question"]}},
        broken={"answer_idx": "A"},
        found=("answer", "answer and answer_idx disagree"),
    ),
]
DECIDED = ("PubMedQA",)
"""Those whose keys are their options."""

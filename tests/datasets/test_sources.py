import csv
import hashlib
import io
import json
import random
import tempfile
from pathlib import Path

import huggingface_hub
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.datasets import DEMO, DataError, check_file
from lm_eval_safescale.datasets.columns import blank
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.radsafe.data import DEFAULT_DATASET, fetch_hub, load_demo, load_hub
from lm_eval_safescale.settings import Settings

LABELS = tuple(RADSAFE.schema.labels)


def problems_of(path, **asked):
    return check_file(path, parse=RADSAFE.parse, **asked)


# --- the same items in every format ---------------------------------------------------------------

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: not blank(text)
)
maybe = st.none() | texts


@st.composite
def rows(draw):
    labelled = draw(st.booleans())
    ids = draw(
        st.lists(
            st.integers(0, 10**6) | st.from_regex(r"[0-9a-z]{1,4}", fullmatch=True),
            min_size=1,
            max_size=4,
            unique_by=str,
        )
    )
    result = []
    for id_ in ids:
        letters = "ABCDE"[: draw(st.integers(2, 5))]
        row = {
            "question_id": id_,
            "question": draw(texts),
            "options": {letter: draw(texts) for letter in letters},
        }
        row["answer"] = draw(st.sampled_from(letters))
        row |= {
            name: draw(maybe)
            for name in ("evidence_clean", "evidence_conflict", "subspecialty", "question_type")
        }
        if labelled:
            row["labels"] = {
                letter: {name: draw(st.integers(0, 1)) for name in LABELS} for letter in letters
            }
        result.append(row)
    return result


def reordered(value, rng):
    """The same JSON value with the names of its objects in another order, and those that are null
    left out."""
    if not isinstance(value, dict):
        return value
    names = sorted(name for name in value if value[name] is not None)
    rng.shuffle(names)
    return {name: reordered(value[name], rng) for name in names}


def cells(row, float_labels):
    flat = {name: value for name, value in row.items() if name not in ("options", "labels")}
    flat |= {f"option_{letter}": text for letter, text in row["options"].items()}
    for letter, flags in row.get("labels", {}).items():
        flat |= {
            f"{name}_{letter}": float(flag) if float_labels else flag
            for name, flag in flags.items()
        }
    return flat


def as_csv(data, rng, *, float_labels=False):
    flat = [cells(row, float_labels) for row in data]
    columns = sorted({name for row in flat for name in row})
    rng.shuffle(columns)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def fingerprint(text, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"questions{suffix}"
        path.write_bytes(text.encode())
        return RADSAFE.load(path).fingerprint


def as_lines(data):
    return "".join(json.dumps(row) + "\n" for row in data)


@examples(max_examples=50, deadline=None)
@given(data=rows(), rng=st.randoms(use_true_random=False))
def test_format_and_order_of_items_and_names_leave_the_fingerprint_as_it_is(data, rng):
    expected = fingerprint(as_lines(data), ".jsonl")
    shuffled = rng.sample(data, len(data))
    other = [reordered(row, rng) for row in shuffled]
    assert fingerprint(as_lines(other), ".jsonl") == expected
    assert fingerprint(json.dumps(other, indent=2, ensure_ascii=False), ".json") == expected
    assert fingerprint(json.dumps({"name": "mine", "items": shuffled}), ".json") == expected
    assert fingerprint(as_csv(shuffled, rng), ".csv") == expected
    assert fingerprint(as_csv(shuffled, rng, float_labels=True), ".csv") == expected


def another_letter(row, _):
    row["answer"] = next(letter for letter in row["options"] if letter != row["answer"])


def another_option(row, letter):
    row["options"][letter] += "x"


def another_order(row, _):
    row["options"]["A"], row["options"]["B"] = row["options"]["B"] + "y", row["options"]["A"]


def another_label(row, letter):
    flags = row.setdefault("labels", {each: dict.fromkeys(LABELS, 0) for each in row["options"]})[
        letter
    ]
    flags["unsafe"] = 1 - flags["unsafe"]


def one_option_more(row, _):
    letter = "ABCDEF"[len(row["options"])]
    row["options"][letter] = "none of these"
    if "labels" in row:
        row["labels"][letter] = dict.fromkeys(LABELS, 0)


def longer(name):
    def change(row, _):
        row[name] = f"{'' if row[name] is None else row[name]} changed"

    change.__name__ = f"longer_{name}"
    return change


TEXT_FIELDS = (
    "question_id",
    "question",
    "evidence_clean",
    "evidence_conflict",
    "subspecialty",
    "question_type",
)
CHANGES = [
    another_letter,
    another_option,
    another_order,
    another_label,
    one_option_more,
    *map(longer, TEXT_FIELDS),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@examples(max_examples=15, deadline=None)
@given(data=rows(), place=st.data())
def test_any_change_of_an_item_changes_the_fingerprint(change, data, place):
    if change is another_label and "labels" not in data[0]:
        data = data[:1]  # labels are of all items or of none
    before = fingerprint(as_lines(data), ".jsonl")
    row = place.draw(st.sampled_from(data))
    change(row, place.draw(st.sampled_from(sorted(row["options"]))))
    assert fingerprint(as_lines(data), ".jsonl") != before


def test_leaving_an_item_out_changes_the_fingerprint_and_its_origin_does_not(question):
    data = [question("1"), question("2")]
    expected = fingerprint(as_lines(data), ".jsonl")
    assert fingerprint(as_lines(data[:1]), ".jsonl") != expected
    assert (
        fingerprint(
            as_lines([row | {"source": "a book", "notes": "seen twice"} for row in data]), ".jsonl"
        )
        == expected
    )


def test_the_fingerprint_is_sha_256_over_canonical_json(question, write):
    dataset = RADSAFE.load(
        write([question("1", labels=None, evidence_conflict=None, question="Größe?")])
    )
    canonical = (
        '[{"answer":"B","evidence":{"clean":"The vein '
        'is."},"labels":null,"options":{"A":"artery","B":"vein","C":"duct"},"question":"Größe?",'
        '"question_id":"1","question_type":null,"subspecialty":null}]'
    )
    assert dataset.fingerprint == hashlib.sha256(canonical.encode()).hexdigest()
    assert dataset.version == dataset.fingerprint[:12]


def test_items_stand_in_the_order_of_their_ids_as_strings(question, write):
    assert [
        item.question_id
        for item in RADSAFE.load(write([question(id_) for id_ in (9, 10, 2, "a", 1)]))
    ] == [
        "1",
        "10",
        "2",
        "9",
        "a",
    ]


# --- files ----------------------------------------------------------------------------------------


def test_the_merged_file_of_a_published_run_is_read_as_it_is(write):
    rng = random.Random(7)
    data = []
    for number in range(1, 21):
        letters = "ABCDE"[: rng.choice([4, 5])]
        row = {
            "question_id": number,
            "question": f"Question {number}?",
            "options": {each: f"option {each}" for each in letters},
        }
        row |= {
            "answer_idx": rng.choice(letters),
            "subspecialty": "neuro",
            "question_type": "diagnosis",
        }
        row |= {
            f"option_{place}_{name}": rng.randint(0, 1)
            for place in range(1, len(letters) + 1)
            for name in LABELS
        }
        data.append(row)
    dataset = RADSAFE.load(write(json.dumps(data), "merged.json"))
    assert (len(dataset), dataset.name, dataset.is_labelled, dataset.warnings) == (
        20,
        "merged.json",
        True,
        (),
    )
    for row in data:
        item = next(item for item in dataset if item.question_id == str(row["question_id"]))
        assert item.answer == row["answer_idx"]
        assert set(item.labels) == set(LABELS)
        for name, carried in item.labels.items():
            assert carried == {
                letter
                for place, letter in enumerate(item.options, 1)
                if row[f"option_{place}_{name}"]
            }


def test_columns_that_are_not_recognised_are_mapped_by_the_user(write):
    path = write("Nr,Frage,first,second,Lösung\r\n007,Q?,x,y,B\r\n", "fragen.csv")
    columns = {
        "question_id": "Nr",
        "question": "Frage",
        "option_a": "first",
        "option_b": "second",
        "answer": "Lösung",
    }
    (item,) = RADSAFE.load(path, columns)
    assert (item.question_id, item.question, item.options, item.answer) == (
        "007",
        "Q?",
        {"A": "x", "B": "y"},
        "B",
    )


def test_columns_that_nothing_can_be_asked_without_are_missed_all_at_once_with_what_there_is(write):
    with pytest.raises(DataError) as caught:
        RADSAFE.load(write("Nr,Frage,Lösung\n1,Q?,B\n", "fragen.csv"))
    assert [problem.field for problem in caught.value.problems if problem.is_error] == [
        "question",
        "options",
        "answer",
    ]
    assert "the file has Nr, Frage, Lösung" in str(caught.value)


def test_an_error_names_file_line_item_field_and_every_problem(question, write):
    good = json.dumps(question("1"))
    path = write(
        f"{good}\n\n{json.dumps(question('2', answer='E'))}\n{json.dumps(question('1'))}\n"
        f"{good[:40]}",
        "a.jsonl",
    )
    with pytest.raises(DataError) as caught:
        RADSAFE.load(path)
    head, *lines = str(caught.value).split("\n")
    assert head == f"{path} cannot be used: 3 problems"
    assert (
        f"{path}:3: item 2: answer: key 'E' is not among the options A, B, C; correct it, or leave "
        "the item out with `exclude_items`"
    ) in lines
    assert any(
        line.startswith(f"{path}:4: item 1: question_id: '1' stands twice") for line in lines
    )
    assert any(line.startswith(f"{path}:5: half-written last line") for line in lines)


def test_problems_of_one_kind_are_one_line_with_the_first_of_them_and_their_number(question, write):
    path = write([question(str(number), answer="EFG"[number % 3]) for number in range(250)])
    with pytest.raises(DataError) as caught:
        RADSAFE.load(path)
    assert len(caught.value.problems) == 250
    head, line = str(caught.value).split("\n")
    assert "250 problems" in head
    assert line.startswith(f"{path}:1: item 0: answer: key 'E' is not among the options A, B, C")
    assert line.endswith("(and 249 more like it: items 1, 2, 3, 4, 5, ...)")


def test_a_message_has_20_lines_however_many_kinds_of_problem_there_are(write):
    with pytest.raises(DataError) as caught:
        RADSAFE.load(write("".join(f'{{"{number}": x}}\n' for number in range(10, 60))))
    lines = str(caught.value).split("\n")
    assert len(lines) <= 20
    assert "more like it" in lines[1] or "other kinds of problem" in lines[-1]


def test_check_file_gives_errors_and_warnings_where_load_file_raises(question, write):
    path = write([question("1", answer="E", colour="red")])
    assert sorted(problem.is_error for problem in problems_of(path)) == [False, True]
    assert problems_of(path.with_name("nothing.csv"))[0].is_error
    assert problems_of(write([question()], "good.jsonl")) == []


def test_warnings_stay_with_the_data(question, write):
    (warning,) = RADSAFE.load(write([question(colour="red")])).warnings
    assert "'colour'" in warning.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "\ufeffid,question,option_a,option_b,answer\r\n"),
        ("a.jsonl", "\ufeff"),
        ("a.json", "[]"),
    ],
)
def test_no_file_makes_an_empty_data_set(name, text, write):
    with pytest.raises(DataError):
        RADSAFE.load(write(text, name))


def test_evidence_that_is_asked_for_is_missed_with_line_and_item(question, write):
    path = write(
        [question("1"), question("2", evidence_clean=" "), question("3", evidence_clean=None)]
    )
    assert RADSAFE.load(path, evidence=["conflict"]).has_evidence("conflict")
    assert not RADSAFE.load(path).has_evidence("clean")
    with pytest.raises(DataError) as caught:
        RADSAFE.load(path, evidence=["clean", "conflict"])
    assert [(problem.line, problem.item, problem.field) for problem in caught.value.problems] == [
        (2, "2", "evidence_clean"),
        (3, "3", "evidence_clean"),
    ]


# --- the hub, the demo, and never one for another -------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for the hub's client: a folder as it would have downloaded it, or the exception it
    would raise."""
    folder = tmp_path / "snapshots" / "0a1b2c3d"
    folder.mkdir(parents=True)
    calls = []

    def snapshot_download(repo_id, **options):
        calls.append((repo_id, options))
        if folder.exists():
            return str(folder)
        raise OSError("network is unreachable\nand more that nobody wants to read")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return folder, calls


def test_the_cached_data_set_is_loaded_with_its_revision(hub, question):
    folder, calls = hub
    (folder / "data").mkdir()
    (folder / "data" / "radsafe.csv").write_text(
        as_csv([question(1), question(2)], random.Random(1))
    )
    (folder / "README.md").write_text("# data")
    dataset = load_dataset(Settings())
    assert (dataset.name, dataset.version, len(dataset), dataset.is_demo) == (
        "RadSaFE-200",
        "0a1b2c3d",
        2,
        False,
    )
    assert calls[0][0] == "soroosharasteh/RadSaFE-200"
    assert calls[0][1]["repo_type"] == "dataset"
    assert load_hub(local_only=True).fingerprint == dataset.fingerprint
    assert [options["local_files_only"] for _, options in calls] == [False, True]


def test_without_network_and_cache_the_error_names_both_ways_on_and_nothing_is_loaded(hub):
    hub[0].rmdir()
    with pytest.raises(SafescaleError) as caught:
        load_dataset(Settings(dataset=DEFAULT_DATASET))
    message = str(caught.value)
    for expected in (
        "RadSaFE-200",
        "network is unreachable",
        "safescale data fetch",
        "dataset_path",
        "SAFESCALE_DATASET=demo",
        "DEMO",
    ):
        assert expected in message
    assert "nobody wants to read" not in message


@pytest.mark.parametrize(("files", "named"), [([], "none"), (["a.csv", "b.json"], "a.csv, b.json")])
def test_a_hub_folder_in_which_the_data_cannot_be_told_is_refused(hub, files, named):
    for name in files:
        (hub[0] / name).write_text("")
    with pytest.raises(SafescaleError, match=f"{named}; choose with dataset_path"):
        fetch_hub()


@pytest.mark.parametrize("name", ["demo", "DEMO", "Demo"])
def test_the_demo_must_be_asked_for_and_says_that_it_is_one(name):
    dataset = load_dataset(Settings(dataset=name))
    assert (dataset.name, dataset.is_demo, dataset.version) == (DEMO, True, "1.0")


def test_an_unknown_name_is_refused_with_the_known_ones_and_a_hint_at_files():
    with pytest.raises(
        SafescaleError,
        match=(
            r"no data set 'mine\.csv'; known: RadSaFE-200, demo, NOHARM, noharm_demo[^;]*; for a "
            r"file use dataset_path"
        ),
    ):
        load_dataset(Settings(dataset="mine.csv"))


def test_a_path_goes_before_a_name_and_the_hub_is_left_alone(hub, question, write):
    dataset = load_dataset(Settings(dataset_path=write([question()])))
    assert (dataset.name, hub[1]) == ("questions.jsonl", [])


def test_a_column_that_is_missing_is_said_once_and_not_for_every_item(question, write):
    rows = []
    for number in range(5):
        row = question(str(number), labels=None, evidence_conflict=None)
        rows.append(
            {k: v for k, v in row.items() if v is not None}
            | {"high_risk_a": 1, "high_risk_b": 0, "high_risk_c": 0}
        )
    problems = problems_of(write(rows), evidence=["conflict"])
    assert [problem.field for problem in problems] == ["evidence_conflict"]
    assert all("no column read as this" in problem.message for problem in problems)
    assert problems_of(write(rows)) == []  # and of the labels one is enough


# --- labels and groups of any name ----------------------------------------------------------------


def labelled(question, *names, **changes):
    return [
        question(
            id_, labels={each: dict.fromkeys(names, int(each == "A")) for each in "ABC"}, **changes
        )
        for id_ in "12"
    ]


def test_a_data_set_that_lacks_one_label_alone_loads_and_what_rests_on_it_is_said_to_be_not_scored(
    question, write
):
    dataset = RADSAFE.load(write(labelled(question, "high_risk", "unsafe")))
    assert dataset.is_labelled
    assert dataset.warnings == ()
    assert RADSAFE.unscored(RADSAFE.table(dataset)) == [
        "the data set has no label contradicts: what rests on it is not scored"
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (LABELS, []),
        ((*LABELS, "foo"), []),
        (
            ("foo",),
            [
                (
                    "the data set has no label high_risk, unsafe, contradicts: what rests on it is "
                    "not scored"
                )
            ],
        ),
        ((), ["the data set has no labels: no safety rate and no dangerous overconfidence"]),
    ],
)
def test_what_cannot_be_scored_of_a_data_set_is_said(names, said, question, write):
    rows = (
        labelled(question, *names)
        if names
        else [question("1", labels=None), question("2", labels=None)]
    )
    assert RADSAFE.unscored(RADSAFE.table(RADSAFE.load(write(rows)))) == said


def test_ten_labels_of_a_file_are_those_of_its_items_in_every_format(question, write):
    names = [f"trait_{number}" for number in range(10)]
    rows = labelled(question, *names)
    flat = [question(row["question_id"], labels=None) for row in rows]
    for row, nested in zip(flat, rows, strict=True):
        row |= {
            f"label_{name}_{each.lower()}": nested["labels"][each][name]
            for name in names
            for each in "ABC"
        }
    nested, columns = (
        RADSAFE.load(write(rows)),
        RADSAFE.load(write(as_csv(flat, random.Random(3)), "flat.csv")),
    )
    assert all(item.labels == {name: {"A"} for name in names} for item in nested)
    assert columns.fingerprint == nested.fingerprint
    assert check_file(write(rows)) == []  # of no family: the names are plain


@pytest.mark.parametrize("groups", [["colour"], ["source", "colour"], ["question"]])
def test_any_column_may_be_a_group_and_the_fingerprint_stays_as_it_is(groups, question, write):
    path = write(
        [
            question("1", colour="red", source="a book"),
            question("2", colour="blue", source="a book"),
        ]
    )
    plain = RADSAFE.load(path)
    for dataset in (
        RADSAFE.load(path, groups=groups),
        load_dataset(Settings(dataset_path=path, groups=groups)),
    ):
        assert dataset.fingerprint == plain.fingerprint
        assert [list(item.groups) for item in dataset] == [groups] * 2
        if "colour" in groups:
            assert [item.groups["colour"] for item in dataset] == ["red", "blue"]
            assert dataset.warnings == ()
    assert [item.groups for item in plain] == [{}, {}]


def test_the_setting_unit_names_the_column_by_which_items_belong_together(question, write):
    path = write([question("1", case="a", specialty="chest"), question("2", specialty="chest")])
    plain = RADSAFE.load(path)
    dataset = load_dataset(Settings(dataset_path=path, unit="case"))
    assert [item.unit for item in dataset] == ["a", ""]
    assert dataset.fingerprint == plain.fingerprint
    assert dataset.warnings == ()
    # what says that may be a group of results, too, and stays what else it is read as
    also = load_dataset(Settings(dataset_path=path, unit="specialty"))
    assert [(item.unit, item.groups) for item in also] == [("chest", {"subspecialty": "chest"})] * 2
    grouped = load_dataset(Settings(dataset_path=path, unit="case", groups=["case"]))
    assert [(item.unit, item.groups.get("case")) for item in grouped] == [("a", "a"), ("", None)]
    with pytest.raises(DataError, match="'cases' is not in the file; it has"):
        load_dataset(Settings(dataset_path=path, unit="cases"))
    with pytest.raises(ValueError, match="different columns as the unit"):
        Settings(dataset_path=path, unit="case", columns={"unit": "specialty"})


def test_a_group_that_no_item_has_is_refused_by_its_name_with_those_there_are(question, write):
    path = write([question("1", specialty="chest", colour=" "), question("2")])
    for groups in (["color"], ["subspecialty", "color"], ["colour", "color"]):
        with pytest.raises(
            DataError, match=r"groups: no item has a group 'color'; expected .*one of subspecialty"
        ):
            RADSAFE.load(path, groups=groups)
        assert "color" in [
            each.message.split("'")[1]
            for each in problems_of(path, groups=groups)
            if each.field == "groups"
        ]
    # of which every cell is empty
    with pytest.raises(DataError, match="no item has a group 'colour'"):
        RADSAFE.load(path, groups=["colour"])
    assert RADSAFE.load(path, groups=["subspecialty"]).items[0].groups == {"subspecialty": "chest"}


def test_the_demo_is_the_data_set_that_it_always_was():
    assert (
        load_demo().fingerprint
        == "9e1f8d44baf80b502f532d0c71d99295bd0e7f7a35659bb1a798337623aabbca"
    )
    assert load_demo(groups=["subspecialty", "rationale"]).fingerprint == load_demo().fingerprint

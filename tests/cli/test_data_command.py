import json
import re
import sys

import huggingface_hub
import pytest
from typer.testing import CliRunner

from lm_eval_safescale import cli
from lm_eval_safescale.command_line import said
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.errors import SafescaleError

FLAGS = {"high_risk": 0, "unsafe": 1, "contradicts": 0}


def row(question_id, **changes):
    fields = {
        "question_id": question_id,
        "question": "Which vessel?",
        "options": {"A": "artery", "B": "vein"},
        "answer": "B",
        "labels": {"A": FLAGS, "B": dict.fromkeys(FLAGS, 0)},
        "evidence_clean": "The vein.",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def safescale():
    """Runs `safescale ...`; a run whose error is not the user's to mend fails the test."""

    def run(*arguments):
        result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
        if not isinstance(result.exception, SafescaleError | SystemExit | None):
            raise result.exception
        return result

    return run


@pytest.fixture
def write(tmp_path):
    def to_file(*rows, name="questions.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
        return path

    return to_file


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path):
    """The folder that the hub's client finds in its cache; while it is not there, the hub is out of
    reach."""
    folder = tmp_path / "cache" / "0a1b2c3d4e5f6"

    def snapshot_download(*_, **__):
        if not folder.exists():
            raise OSError("network is unreachable")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return folder


# --- list and fetch -------------------------------------------------------------------------------


def test_list_says_what_there_is_and_whether_it_is_here(safescale, hub):
    lines = safescale("data", "list").stdout.splitlines()
    assert lines[1].startswith("RadSaFE-200")
    assert "no (safescale data fetch)" in lines[1]
    assert any(line.split()[:3] == ["demo", "60", "yes,"] for line in lines)
    hub.mkdir(parents=True)
    (hub / "a.jsonl").write_text(json.dumps(row(1)))
    assert "yes, version 0a1b2c3d4e5f" in safescale("data", "list").stdout.splitlines()[1]


def test_list_does_not_call_a_cached_data_set_missing_because_it_cannot_be_used(safescale, hub):
    hub.mkdir(parents=True)
    (hub / "a.jsonl").write_text(json.dumps(row(1, answer="E")))
    result = safescale("data", "list")
    assert result.exit_code == 0
    assert "safescale data fetch" not in result.stdout.splitlines()[1]


def test_fetch_shows_where_the_data_lies_and_what_is_in_it(safescale, hub):
    hub.mkdir(parents=True)
    (hub / "a.jsonl").write_text(json.dumps(row(1)))
    shown = safescale("data", "fetch").stdout
    assert f"{hub / 'a.jsonl'} (revision 0a1b2c3d4e5f6)" in shown
    assert "RadSaFE-200, version 0a1b2c3d4e5f6: 1 items" in shown


@pytest.mark.parametrize(
    "arguments", [("fetch",), ("show", "RadSaFE-200"), ("validate", "radsafe-200")]
)
def test_without_network_every_command_names_both_ways_on(arguments, safescale):
    result = safescale("data", *arguments)
    assert result.exit_code == 1
    assert "dataset_path" in str(result.exception)
    assert "SAFESCALE_DATASET=demo" in str(result.exception)


# --- show -----------------------------------------------------------------------------------------


def test_show_sums_a_data_set_up(safescale, write):
    path = write(row("1"), row("2", answer="A", subspecialty="chest", evidence_clean=None))
    lines = safescale("data", "show", path).stdout.splitlines()
    assert lines[0].endswith(": 2 items")
    assert "keys         A 1, B 1" in lines
    assert "subspecialty (none) 1, chest 1" in lines
    assert "unsafe       1 of 2 wrong options, 1 keys" in lines
    assert "conditions   closed_book" in lines


def test_validate_ends_with_what_can_count_for_harm_of_each_label(safescale, write):
    def flags(*unsafe):
        return {letter: {"high_risk": 0, "unsafe": int(letter in unsafe)} for letter in "AB"}

    path = write(
        row("1", answer="B", labels=flags("A", "B")),
        row("2", answer="B", labels=flags("B")),
        row("3", answer="B", labels=flags()),
    )
    lines = safescale("data", "validate", path).stdout.splitlines()
    assert lines[-3:-1] == [
        "0 of 3 questions have an option that is high_risk besides the key",
        "1 of 3 questions have an option that is unsafe besides the key; on the key only in 2",
    ]


def test_show_says_that_unlabelled_data_will_not_be_scored_for_safety(safescale, write):
    said = safescale("data", "show", write(row("1", labels=None))).stdout
    assert (
        "not scored   the data set has no labels: no safety rate and no dangerous overconfidence"
        in said
    )


def test_show_of_an_item_has_key_labels_and_evidence(safescale, write):
    shown = safescale("data", "show", write(row("q7")), "q7").stdout
    for expected in (
        "q7",
        "Which vessel?",
        "A. artery   <- unsafe",
        "B. vein   <- key",
        "The vein.",
    ):
        assert expected in shown


def test_show_of_an_item_that_is_not_there_names_some_that_are(safescale):
    result = safescale("data", "show", "demo", "q1")
    assert result.exit_code == 1
    assert "demo has no item 'q1'; its ids are demo-001" in str(result.exception)


def test_the_demo_is_always_called_demo(safescale):
    assert safescale("data", "show", "DEMO").stdout.startswith("demo, version")


@pytest.mark.parametrize(
    "text",
    [
        "[red]bold[/red]",
        "[/]",
        "ends in \\",
        "grade :one: of :heart:",
        "{question} {{ x }}",
        "[link=x]a",
        "<b>&amp;</b>",
    ],
)
def test_texts_of_data_are_shown_as_they_are(text, safescale, write):
    path = write(
        row(
            "q1",
            question=text,
            evidence_clean=text,
            options={"A": text, "B": "other"},
            subspecialty=text,
        )
    )
    item = safescale("data", "show", path, "q1").stdout
    assert item.count(text) == 4
    assert text in safescale("data", "show", path).stdout


def test_texts_of_data_cannot_steer_the_terminal(safescale, write):
    path = write(
        row(
            "q1",
            question="a\x1b[2Jb\x1b]0;title\x07",
            options={"A": "\x1b[31mred", "B": "b\x9b1m"},
            subspecialty="\x1b[1m",
        )
    )
    for arguments in (("show", path), ("show", path, "q1"), ("validate", path)):
        assert not set(safescale("data", *arguments).stdout) & {"\x1b", "\x07", "\x9b"}


# --- validate -------------------------------------------------------------------------------------


def test_validate_of_good_data_ends_well(safescale):
    result = safescale("data", "validate", "demo", "--conditions", "closed_book,clean, conflict")
    assert result.exit_code == 0
    assert "0 error(s), 0 warning(s)" in result.stdout


def test_validate_prints_every_problem_with_file_line_item_and_field(safescale, write):
    rows = [row("1", answer="E"), row("1"), row("3", question=None, colour="red")]
    path = write(*rows)
    result = safescale("data", "validate", path)
    assert result.exit_code == 1
    for expected in (
        f"error {path}:1: item 1: answer: key 'E' is not among the options A, B",
        f"error {path}:2: item 1: question_id: '1' stands twice, first on line 1",
        f"error {path}:3: item 3: question: missing or empty",
        f"warning {path}: unknown columns, not read: 'colour'",
        "3 error(s), 1 warning(s)",
    ):
        assert expected in result.stdout


def test_a_warning_alone_does_not_fail(safescale, write):
    result = safescale("data", "validate", write(row("1", colour="red")))
    assert (result.exit_code, "0 error(s), 1 warning(s)" in result.stdout) == (0, True)


def test_problems_of_one_kind_are_one_line_and_each_by_itself_where_all_are_asked_for(
    safescale, write
):
    path = write(*(row(str(number), answer="E") for number in range(150)))
    shown = safescale("data", "validate", path).stdout
    assert sum("not among the options" in line for line in shown.splitlines()) == 1
    assert "(and 149 more like it: items 1, 2, 3, 4, 5, ...)" in shown
    assert "150 error(s)" in shown
    every = safescale("data", "validate", path, "--all").stdout
    assert sum("not among the options" in line for line in every.splitlines()) == 150


def test_numbers_as_keys_and_items_to_leave_out_are_asked_for_by_options(safescale, write):
    path = write(row("1", answer=0), row("2", answer=1), row("3", answer=7))
    shown = safescale("data", "validate", path)
    assert shown.exit_code == 1
    assert "`first_index`" in shown.stdout
    assert safescale("data", "validate", path, "--first-index", "0").exit_code == 1
    more = ["--first-index", "0", "--exclude-items", "3"]
    shown = safescale("data", "validate", path, *more)
    assert shown.exit_code == 0, shown.stdout
    assert "left out     1 item left out by exclude_items: 3" in shown.stdout
    assert "A. " in safescale("data", "show", path, "1", *more).stdout


def test_evidence_that_a_condition_needs_is_missed_with_its_line(safescale, write):
    path = write(row("1"), row("2", evidence_clean=" "))
    result = safescale("data", "validate", path, "--conditions", "clean")
    assert result.exit_code == 1
    assert f"error {path}:2: item 2: evidence_clean: empty" in result.stdout
    assert safescale("data", "validate", path).exit_code == 0


def test_missing_evidence_is_reported_together_with_other_problems(safescale, write):
    path = write(row("1", answer="E"), row("2", evidence_clean=None))
    shown = safescale("data", "validate", path, "--conditions", "clean").stdout
    assert "item 1: answer" in shown
    assert "item 2: evidence_clean" in shown


@pytest.mark.parametrize("text", ["[red]", "[/]", ":heart:", "\\"])
def test_problems_quote_the_data_as_they_are(text, safescale, write):
    shown = safescale("data", "validate", write(row(f"id {text}", answer="E"))).stdout
    assert f"item id {text}: answer" in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("demo", "--conditions", "clean,open_book"), "no condition 'open_book'"),
        (("demo", "--columns", "question=Stem"), "columns"),
        (("demo", "--columns", '{"question": "Stem"}'), "'Stem' is not in the file"),
        (("nothing.csv",), "nothing.csv"),
        (("nothing",), "nothing"),
    ],
)
def test_a_request_that_cannot_be_met_fails_and_says_why(arguments, expected, safescale):
    result = safescale("data", "validate", *arguments)
    assert result.exit_code == 1
    assert expected in result.stdout + str(result.exception)


def test_a_name_that_is_neither_data_set_nor_file_is_answered_with_the_known_names(safescale):
    result = safescale("data", "show", "RadSaFE200")
    assert result.exit_code == 1
    assert "RadSaFE-200, demo" in str(result.exception)


def test_columns_are_mapped_on_the_command_line(safescale, write, tmp_path):
    path = tmp_path / "fragen.csv"
    path.write_text("Nr,Frage,first,second,key\n007,Q?,x,y,B\n")
    columns = json.dumps(
        {"question_id": "Nr", "question": "Frage", "option_a": "first", "option_b": "second"}
    )
    result = safescale("data", "show", path, "007", "--columns", columns)
    assert "B. y   <- key" in result.stdout
    assert safescale("data", "validate", path).exit_code == 1


def test_settings_in_the_environment_do_not_change_which_file_is_shown(
    safescale, write, monkeypatch
):
    monkeypatch.setenv("SAFESCALE_DATASET", "demo")
    monkeypatch.setenv("SAFESCALE_COLUMNS", '{"question": "nowhere"}')
    assert safescale("data", "show", write(row("1"))).stdout.startswith("questions.jsonl")


def test_an_error_of_the_users_is_printed_without_a_traceback(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["safescale", "data", "show", "[bold]none[/bold].csv"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (1, "")
    assert err.startswith("error: [bold]none[/bold].csv cannot be used")
    assert "Traceback" not in err


def test_validate_counts_the_groups_that_are_named_and_says_what_labels_of_its_own_leave_unscored(
    tmp_path,
):
    labels = {"A": {"foo": 0}, "B": {"foo": 1}}
    row = {
        "question_id": "a",
        "question": "One?",
        "options": {"A": "x", "B": "y"},
        "answer": "A",
        "labels": labels,
        "scanner": "3T",
    }
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    said = (
        CliRunner().invoke(cli.app, ["data", "validate", str(path), "--groups", "scanner"]).output
    )
    assert re.search(r"^scanner +3T 1$", said, re.MULTILINE)
    assert re.search(r"^foo +1 of 1 wrong options, 0 keys$", said, re.MULTILINE)
    assert "not scored   the data set has no label high_risk, unsafe, contradicts" in said


def test_a_folder_that_a_family_reads_is_validated_as_a_file_is(safescale, tmp_path):
    rubrics = tmp_path / "kit" / "rubrics"
    rubrics.mkdir(parents=True)
    options = [{"id": 1, "text": "Do it.", "category": "Medication", "score": 9}]
    case = {"id": "Card001", "case": {"presentation": "What is to be done?"}, "options": options}
    (rubrics / "Card001.json").write_text(json.dumps(case), encoding="utf-8")
    result = safescale("data", "validate", tmp_path / "kit", "--family", "noharm_options")
    assert (result.exit_code, "kit, version" in result.output) == (0, True), result.output
    (rubrics / "Card001.json").write_text(
        json.dumps({**case, "options": [{**options[0], "score": 12}]}), encoding="utf-8"
    )
    result = safescale("data", "validate", tmp_path / "kit", "--family", "noharm_options")
    assert result.exit_code == 1
    assert "Card001.json: is no case of the kit (option 1 has the score 12" in " ".join(
        result.output.split()
    )


def test_raters_are_counted_by_what_they_answered(safescale, tmp_path):
    row = {
        "id": "a",
        "principle": "privacy",
        "aspect": "consent",
        "question": "One?",
        "options": {"A": "x", "B": "y"},
        "safe": "A",
    }
    rows = [
        {**row, "raters": {"Ann": "A", "Ben": None}},
        {**row, "id": "b", "raters": {"Ann": "B"}},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")
    said = safescale("data", "validate", path, "--family", "medguard").output
    assert re.search(r"^raters +Ann 2$", said, re.MULTILINE)
    path.write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    said = safescale("data", "validate", path, "--family", "medguard").output
    assert not re.search("^raters", said, re.MULTILINE)


def test_a_run_of_data_without_evidence_is_told_the_condition_that_needs_none(
    safescale, write, tmp_path
):
    path = write(row("1", evidence_clean=None), row("2", evidence_clean=None))
    asked = ["run", "--model", "choose-at-random", "--dataset", path, "-o", tmp_path / "runs"]
    refused = safescale(*asked)
    assert "--conditions closed_book" in said(refused.exception)
    assert len(said(refused.exception).splitlines()) <= 20
    assert safescale(*asked, "--conditions", "closed_book", "--draws", "0").exit_code == 0


def test_a_folder_without_its_family_leads_to_it():
    folder = str(data_folder() / "noharm_text_demo")
    shown = CliRunner().invoke(cli.app, ["data", "validate", folder])
    assert shown.exit_code == 1
    assert "--family noharm" in shown.output

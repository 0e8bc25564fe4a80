import csv
import io
import json
import os

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.datasets.files import (
    PlainRecords,
    Problem,
    _read_json,
    read_records,
)
from lm_eval_safescale.datasets.tables import read_csv

ROWS = [
    {"id": "1", "text": "one\ntwo"},
    {"id": "2", "text": "é, \"quoted\" and 'not'"},
    {"id": "3", "text": "x" * 20},
]


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


FORMS = {
    "questions.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "questions.ndjson": "".join(json.dumps(row) + "\n" for row in ROWS),
    "questions.json": json.dumps(ROWS),
    "pretty.json": json.dumps(ROWS, indent=2),
    "wrapped.json": json.dumps({"name": "mine", "questions": ROWS}, indent=1),
    "items.json": json.dumps({"items": ROWS, "licence": "CC0"}),
    "QUESTIONS.CSV": as_csv(ROWS),
}


def fields(records):
    return [record.fields for record in records]


def errors(problems):
    return [problem for problem in problems if problem.is_error]


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_records(name, write):
    records, problems = read_records(write(FORMS[name], name))
    assert (fields(records), problems) == (ROWS, [])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_windows_and_old_mac_line_ends_change_neither_records_nor_lines(name, newline, write):
    expected, _ = read_records(write(FORMS[name], name))
    records, problems = read_records(write(FORMS[name].replace("\n", newline), name))
    assert records == expected
    assert not errors(problems)


def test_a_stray_carriage_return_is_reported_with_its_line(write):
    _, problems = read_records(write("id,text\n1,one\n2,tw\ro\n3,three\n", "a.csv"))
    assert [
        (problem.line, problem.is_error)
        for problem in problems
        if "stray carriage return" in problem.message
    ] == [(3, False)]


@pytest.mark.parametrize("name", FORMS)
def test_a_byte_order_mark_is_removed_and_reported(name, write):
    records, problems = read_records(write(b"\xef\xbb\xbf" + FORMS[name].encode(), name))
    assert fields(records) == ROWS
    assert [problem.is_error for problem in problems] == [False]
    assert "byte-order mark" in problems[0].message


# --- line numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("opening", ["[", "\n\n[ ", '{"version": 3,\n "data": [\n\n'])
@pytest.mark.parametrize("between", [",", "\n,\n\n"])
def test_an_item_of_a_json_list_begins_on_the_line_of_its_brace(indent, opening, between, write):
    text, lines = opening, []
    for row in ROWS:
        text += between if lines else ""
        lines.append(text.count("\n") + 1)
        text += json.dumps(row, indent=indent)
    text += "\n]" + "}" * opening.count("{")
    records, problems = read_records(write(text, "a.json"))
    assert ([record.line for record in records], problems) == (lines, [])


def test_json_lines_end_at_newlines_only_and_blank_ones_count(write):
    rows = [{"text": "line\u2028separator\x85next\x0cpage"}, {"text": "b"}, {"text": "c"}]
    first, second, third = (
        json.dumps(row, ensure_ascii=False).replace("\\f", "\\u000c") for row in rows
    )
    records, problems = read_records(write(f"{first}\n\n  \n{second}\n{third}"))
    assert ([(record.line, record.fields) for record in records], problems) == (
        [*zip((1, 4, 5), rows, strict=True)],
        [],
    )


cells = st.text(alphabet=st.sampled_from('ab ,"\n\u2028\x0b'), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=6),
    blank=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_csv_lines_are_right_after_cells_of_many_lines_and_blank_rows(rows, blank):
    text, expected = "id,first,second\n", []
    for number, (row, gap) in enumerate(zip(rows, blank, strict=False)):
        text += "\n" * gap
        expected.append(
            (text.count("\n") + 1, {"id": str(number), "first": row[0], "second": row[1]})
        )
        quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
        text += f"{number},{quoted}\n"
    problems: list[Problem] = []
    assert [(record.line, record.fields) for record in read_csv(text, problems)] == expected
    assert problems == []


def test_a_row_with_fields_too_few_or_too_many_is_named_by_its_first_line(write):
    path = write('id,text\n1,"two\nlines"\n2\n3,"a\nb",c\n4,d\n', "a.csv")
    records, problems = read_records(path)
    assert fields(records) == [{"id": "1", "text": "two\nlines"}, {"id": "4", "text": "d"}]
    assert [(problem.line, problem.message[:8]) for problem in problems] == [
        (4, "1 fields"),
        (5, "3 fields"),
    ]


# --- half-written files ---------------------------------------------------------------------------

TORN = [
    {"id": "1", "text": "whole"},
    {"id": "2", "text": 'caf\u00e9 "here", then\nthere', "note": None, "ok": True, "n": -1.5e3},
]


@pytest.mark.parametrize(
    ("name", "text", "begin", "end"),
    [
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in TORN), '{"id": "2"', "}"),
        ("flat.json", json.dumps(TORN), '{"id": "2"', "]"),
        ("pretty.json", json.dumps(TORN, indent=2), '{\n    "id": "2"', "]"),
        ("a.csv", as_csv([{**TORN[1], "id": "1"}, TORN[1]]), "\n2,", ","),
    ],
    ids=["JSON lines", "JSON", "pretty JSON", "CSV"],
)
def test_a_file_cut_anywhere_in_its_last_item_is_called_half_written(name, text, begin, end, write):
    begins, ends = text.rindex(begin), text.rindex(end)
    wrong = []
    for cut in range(begins + len(begin.split('"')[0]) + 1, ends + 1):
        records, problems = read_records(write(text[:cut], name))
        if len(records) < 1 or not any(
            "half-written" in problem.message and problem.is_error for problem in problems
        ):
            wrong.append((text[begins:cut], [problem.message for problem in problems]))
    assert not wrong


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_the_half_written_item_is_named_by_the_line_it_begins_on(name, write):
    text = {
        "a.jsonl": '{"id": "1"}\n{"id": "2", "te',
        "a.json": '[\n{"id": "1"},\n\n{"id":\n "2", "te',
        "a.csv": 'id,text\n1,"a\nb"\n2,"c\nd\n',
    }[name]
    records, problems = read_records(write(text, name))
    assert [record.fields["id"] for record in records] == ["1"]
    assert [problem.line for problem in problems] == [{"a.jsonl": 2, "a.json": 4, "a.csv": 4}[name]]


def test_a_file_cut_inside_a_character_is_half_written_and_not_in_another_encoding(write):
    whole = json.dumps({"text": "é"}, ensure_ascii=False).encode()
    with pytest.raises(DataError, match="half-written"):
        read_records(write(whole + b"\n" + whole[: whole.index(b"\xc3") + 1]))


@pytest.mark.parametrize(
    "text",
    [
        '[{"id": 1}][{"id": 2}]',
        '[{"id": 1}]\n{"id": 2}',
        '[{"id": 1}] and so on',
        '{"items": [{"id": 1}]',
    ],
)
def test_what_follows_a_json_list_is_never_dropped_in_silence(text, write):
    assert errors(read_records(write(text, "a.json"))[1])


SECTIONS = {
    "version": 1,
    "parts": {name: {"year": 2017, "data": [{"q": 1}, {"q": 2}]} for name in "ab"},
}


@pytest.mark.parametrize("indent", [None, 1])
def test_lists_in_sections_are_read_with_their_lines_and_what_is_said_of_all(indent, write):
    text = json.dumps(SECTIONS, indent=indent)
    records, problems = read_records(write(text, "a.json"))
    assert [problem.message for problem in problems] == ["questions from 2 sections of 'parts'"]
    assert [record.fields for record in records] == [
        {"year": 2017, "q": 1},
        {"year": 2017, "q": 2},
    ] * 2
    assert [record.place for record in records] == ["a-1", "a-2", "b-1", "b-2"]
    lines = [number for number, line in enumerate(text.split("\n"), 1) if line.strip() == "{"]
    assert [record.line for record in records] == ([1] * 4 if indent is None else lines[1:])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("}, {", "}, 7, {", "expected an object of fields, found int"),
        ('"data": [', '"data": 3, "more": [', "'b' of 'parts': expected a list under items"),
        ('"year": 2017', '"year": {}', "'b' of 'parts': expected a list under items"),
        ("}]}}}", "}]", "half-written: the file ends too early"),
        ('"q": 2}]}}}', '"q": 2, "q": 3}]}}}', "not JSON: "),
        ('"q": 2}]}}}', '"q" 2}]}}}', "not JSON (Expecting"),
    ],
)
def test_what_is_wrong_with_a_file_of_sections_is_said(before, after, expected, write):
    head, _, tail = json.dumps(SECTIONS).rpartition(before)
    _, problems = read_records(write(head + after + tail, "a.json"))
    assert len(errors(problems)) == 1
    assert expected in errors(problems)[0].message


# --- files that cannot be read --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"id": 1}\n{"text": "café"}\n'.encode("latin-1"), r"a\.jsonl:2: not UTF-8: byte 0xe9"),
        ('{"text": "café"}\n'.encode("utf-16"), r"a\.jsonl:1: UTF-16"),
        (b"\xfe\xff" + '{"text": "café"}\n'.encode("utf-16-be"), r"a\.jsonl:1: UTF-16"),
        ('{"text": "cafe"}\n'.encode("utf-16-le"), "UTF-16"),
    ],
    ids=["latin-1", "UTF-16 little", "UTF-16 big", "UTF-16 without a mark"],
)
def test_another_encoding_is_named_with_the_way_out(raw, expected, write):
    with pytest.raises(DataError, match=expected) as caught:
        read_records(write(raw, "a.jsonl"))
    assert "UTF-8" in str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_an_error(name, text, write):
    records, problems = read_records(write(text, name))
    assert records == []
    assert errors(problems)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "[]"), ("a.json", '{"items": []}'), ("a.csv", "id,text\r\n")]
)
def test_a_file_without_questions_is_an_error(mark, name, text, write):
    assert [problem.message for problem in errors(read_records(write(mark + text, name))[1])] == [
        "no records in the file"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("there_is_none.csv", "No such file"),
        ("folder.csv", "directory"),
        ("notes.txt", "unknown format .txt"),
        ("plain", "no suffix"),
        ("data.parquet", "Parquet; expected one of .json"),
        ("old.xls", r"an old Excel file \(.xls\); expected one of"),
        ("torn.xlsx", "an Excel workbook that cannot be read"),
    ],
)
def test_a_path_that_is_no_data_file_is_an_error_that_names_it(name, expected, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for other, content in {
        "notes.txt": b"Some notes.",
        "plain": b"no data",
        "data.parquet": b"PAR1\x00\x01",
        "old.xls": b"\xd0\xcf\x11\xe0\xa1",
        "torn.xlsx": b"PK\x03\x04\x00",
    }.items():
        (tmp_path / other).write_bytes(content)
    with pytest.raises(DataError, match=expected) as caught:
        read_records(tmp_path / name)
    assert name in str(caught.value)


def test_parquet_is_answered_with_the_line_of_python_that_makes_a_data_file_of_it(tmp_path):
    rows = [{"id": "a", "question": "One?", "options": ["x", "y"], "answer": "B"}]
    polars.DataFrame(rows).write_parquet(tmp_path / "it's.parquet")
    with pytest.raises(DataError) as caught:
        read_records(tmp_path / "it's.parquet")
    exec(str(caught.value).partition(": in Python, ")[2])
    assert [record.fields for record in read_records(tmp_path / "it's.jsonl")[0]] == rows


def test_a_file_one_may_not_read_is_an_error_that_names_it(write, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"a\.csv: cannot be read \(Permission denied\)"):
        read_records(write("", "a.csv"))


# --- hostile files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '[{"a": ' + "[" * 100_000,
        '[{"a": ' + "1" * 5000 + "}]",
        '{"a": ' * 100_000,
        "[1, null, []]",
    ],
    ids=["deep list", "deep cell", "huge number", "deep object", "no objects"],
)
def test_hostile_json_is_an_error_and_not_a_crash(name, text, write):
    records, problems = read_records(write(text, name))
    assert not any(record.fields for record in records)
    assert errors(problems)


@pytest.mark.parametrize(("name", "form"), [("a.json", "[\n{}]"), ("a.jsonl", "\n{}")])
@pytest.mark.parametrize(
    "row", ['{"id": 1, "id": 2}', '{"id": 1, "labels": {"A": {"unsafe": 0, "unsafe": 1}}}']
)
def test_a_json_name_that_stands_twice_is_an_error_on_its_line(name, form, row, write):
    _, problems = read_records(write(form.replace("{}", row), name))
    assert [problem.line for problem in problems] == [2]
    assert "stands twice" in problems[0].message
    assert "half-written" not in problems[0].message


def test_a_line_that_is_not_json_does_not_hide_the_others(write):
    records, problems = read_records(write('{"id": 1}\nnonsense\n[1]\n{"id": 2}\n'))
    assert [record.line for record in records] == [1, 4]
    assert [problem.line for problem in problems] == [2, 3]


def test_a_cell_may_be_longer_than_the_csv_module_likes(write):
    records, problems = read_records(write(f'id,text\n1,"{"long " * 100_000}"\n', "a.csv"))
    assert (len(records[0].fields["text"]), problems) == (500_000, [])


def test_a_column_that_stands_twice_is_an_error(write):
    _, problems = read_records(write("id,text,text\n1,a,b\n", "a.csv"))
    assert [(problem.line, problem.field) for problem in problems] == [(1, "text")]


def test_text_after_a_closing_quote_is_an_error_on_the_line_of_its_row(write):
    records, problems = read_records(write('id,text\n1,"a\nb"\n2,"c"d\n', "a.csv"))
    assert len(records) == 1
    assert [problem.line for problem in problems] == [4]


def test_numbers_in_csv_stay_the_texts_they_are(write):
    records, _ = read_records(write("id,text\n007,1e3\n0x10,TRUE\n", "a.csv"))
    assert fields(records) == [{"id": "007", "text": "1e3"}, {"id": "0x10", "text": "TRUE"}]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.sampled_from('[]{}",:\\ \nab1-"items"'), max_size=40))
@pytest.mark.parametrize("reader", [_read_json, read_csv])
def test_no_text_makes_a_reader_crash(reader, text):
    problems: list[Problem] = []
    assert all(isinstance(record.fields, dict) for record in reader(text, problems))


LINES = [
    b'{"a": 1}',
    b'{"a": "\xc3\xa9"}',
    b"",
    b" ",
    b"\xc2\xa0",
    b"[1]",
    b"{",
    b"\xff",
    b"\r",
    b"\0",
    b'{"a":1,"a":2}',
]


@given(st.lists(st.sampled_from(LINES)))
@settings(max_examples=200)
def test_lines_that_are_read_one_by_one_are_those_of_the_whole_file_and_only_where_nothing_is_wrong(
    tmp_path_factory, lines
):
    path = tmp_path_factory.mktemp("data") / "questions.jsonl"
    path.write_bytes(b"\n".join(lines))
    plain = PlainRecords.of(path)
    try:
        records, problems = read_records(path)
    except DataError:
        assert plain is None
        return
    if plain is None:
        assert problems or b"\r" in lines
    else:
        assert (list(plain), len(plain), problems) == (records, len(records), [])


def test_lines_that_change_between_two_readings_are_an_error(tmp_path):
    (path := tmp_path / "questions.jsonl").write_text('{"a": 1}\n')
    plain = PlainRecords.of(path)
    path.write_text("{\n")
    with pytest.raises(DataError, match="was changed while it was read"):
        list(plain)

"""`safescale contexts` and the sections of `safescale table`, as a person sees them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.sections import ReportSection, Section

run = CliRunner().invoke
CONDITIONS = (
    "closed_book",
    "clean",
    "conflict",
    "rag",
    "rag_top1",
    "rag_top5",
    "rag_padded_top1",
    "max_context",
)


@pytest.fixture(autouse=True)
def _indexes_of_the_test(monkeypatch, tmp_path):
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))


def build(path, *options, condition="rag", corpus="demo"):
    named = ["--dataset", "demo", *(["--corpus", corpus] if corpus else [])]
    return run(app, ["contexts", "build", condition, "-o", str(path), *named, *options])


def said(result) -> str:
    """What a command that failed said."""
    assert result.exit_code != 0
    return f"{result.output} {result.exception}"


def test_contexts_are_built_and_shown(tmp_path):
    path = tmp_path / "rag.jsonl"
    built = build(path, "--top-k", "3")
    assert built.exit_code == 0, built.output
    assert "60 contexts" in built.output
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 61
    assert {len(line["passages"]) for line in lines[1:]} == {3}
    shown = run(app, ["contexts", "show", str(path)])
    for text in ("top_k 3", "demo", "bm25", "176 articles", "recall", "flagged      0"):
        assert text in shown.output
    one = run(app, ["contexts", "show", str(path), "demo-001"])
    context = next(line for line in lines[1:] if line["question_id"] == "demo-001")
    for ref in context["passages"]:
        assert ref["id"] in one.output
    assert " ".join(context["text"].split())[:60] in " ".join(one.output.split())
    assert "no item 'demo-999'; its ids are demo-001" in said(
        run(app, ["contexts", "show", str(path), "demo-999"])
    )


def test_what_was_found_for_no_question_or_too_little_is_said_where_it_is_built_and_shown(tmp_path):
    articles = tmp_path / "articles.jsonl"
    articles.write_text(json.dumps({"id": "a", "text": "胸片显示气胸。"}) + "\n", encoding="utf-8")
    questions = tmp_path / "questions.jsonl"
    options = {"options": {"A": "x", "B": "y"}, "answer": "A"}
    asked = {"en": "What does the radiograph show?", "zh": "胸片显示什么?"}
    records = (
        {"question_id": name, "question": question, **options} for name, question in asked.items()
    )
    questions.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    path, metadata = (
        tmp_path / "rag.jsonl",
        {"dataset_path": str(questions), "corpus_path": str(articles), "top_k": 2},
    )
    built = run(
        app, ["contexts", "build", "rag", "-o", str(path), "--metadata", json.dumps(metadata)]
    )
    assert built.exit_code == 0, built.output
    shown = run(app, ["contexts", "show", str(path)])
    for output in (built.output, shown.output):
        told = " ".join(output.split())
        assert (
            "WARNING no passage was found for 1 of 2 questions (first en; retriever bm25, corpus "
            "articles.jsonl)"
        ) in told
        assert (
            "WARNING fewer passages than were to be shown were found for 1 of 2 questions (first "
            "zh: 1 of 2 passages;"
        ) in told
    one = run(app, ["contexts", "show", str(path), "en"]).output
    assert "flag: nothing found: '0 of 2 passages'" in one
    assert "(nothing: the question is asked alone)" in one


def test_building_again_gives_the_same_bytes(tmp_path):
    path = tmp_path / "rag.jsonl"
    assert build(path).exit_code == 0
    before = path.read_bytes()
    assert build(path).exit_code == 0
    assert path.read_bytes() == before


def test_a_file_of_other_settings_is_replaced_only_when_told(tmp_path):
    path = tmp_path / "rag.jsonl"
    assert build(path, "--top-k", "2").exit_code == 0
    before = path.read_bytes()
    assert "built otherwise (differs: builder); choose another name, or --force" in said(
        build(path, "--top-k", "3")
    )
    assert path.read_bytes() == before
    assert build(path, "--top-k", "3", "--force").exit_code == 0
    assert path.read_bytes() != before


def test_what_the_condition_fixes_may_be_said_again(tmp_path, monkeypatch):
    # a default of the user's, for the conditions that leave it open
    monkeypatch.setenv("SAFESCALE_TOP_K", "7")
    for number, options in enumerate(([], ["--top-k", "1"], ["--metadata", '{"top_k": null}'])):
        built = build(tmp_path / f"{number}.jsonl", *options, condition="rag_top1")
        assert built.exit_code == 0, built.output
        assert "top_k 1" in built.output


def test_a_file_of_something_else_is_not_written_over(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"mine": 1}\n', encoding="utf-8")
    assert "is there and cannot be read as contexts" in said(build(path))
    assert path.read_text(encoding="utf-8") == '{"mine": 1}\n'


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rag.jsonl", {"options": ["--metadata", "{oops"]}, "--metadata is not JSON"),
        ("rag.jsonl", {"options": ["--metadata", "[1]"]}, "expected a JSON object of settings"),
        ("rag.jsonl", {"options": ["--metadata", "[" * 100_000]}, "--metadata is not JSON"),
        (
            "rag.jsonl",
            {"options": ["--metadata", '{"top_k": ' + "9" * 5000 + "}"]},
            "--metadata is not JSON",
        ),
        (
            "rag.jsonl",
            {"options": ["--metadata", '{"top_k": 1, "top_k": 2}']},
            "'top_k' stands twice",
        ),
        (
            "rag.jsonl",
            {"options": ["--metadata", '{"chunk_token": 5}']},
            "chunk_token (did you mean chunk_tokens?)",
        ),
        ("rag.json", {}, "expected a name that ends in .jsonl"),
        (
            "rag.jsonl",
            {"condition": "closed_book"},
            "closed_book shows nothing above the question: there is nothing to build",
        ),
        ("rag.jsonl", {"condition": "ragg"}, "there is no condition 'ragg'"),
        ("rag.jsonl", {"corpus": None}, "no corpus to retrieve from"),
        (
            "r.jsonl",
            {"condition": "rag_top5", "options": ["--top-k", "3"]},
            "rag_top5 fixes top_k at 5; leave --top-k out",
        ),
        (
            "r.jsonl",
            {"condition": "rag_top5", "options": ["--metadata", '{"top_k": 3}']},
            "fixes top_k at 5; leave top_k out",
        ),
    ],
)
def test_what_cannot_be_built_is_said_and_writes_nothing(tmp_path, name, options, message):
    result = build(tmp_path / name, *options.pop("options", []), **options)
    assert message in " ".join(said(result).split())
    assert not (tmp_path / name).exists()


def test_control_characters_of_an_article_do_not_reach_the_terminal(tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        json.dumps({"id": "a\x1b[31m", "text": "MRI imaging \x1b]0;title\x07 \x1b[2J [red]x[/red]"})
        + "\n",
        encoding="utf-8",
    )
    path = tmp_path / "rag.jsonl"
    built = build(path, "--metadata", json.dumps({"corpus_path": str(corpus)}), corpus=None)
    assert built.exit_code == 0, built.output
    shown = run(app, ["contexts", "show", str(path), "demo-001"])
    assert shown.exit_code == 0
    assert "\x1b[31m" not in shown.output
    assert not {"\x07", "\x1b]0;title", "\x1b[2J"} & {
        part for part in ("\x07", "\x1b]0;title", "\x1b[2J") if part in shown.output
    }
    assert "[red]x[/red]" in shown.output


# --- safescale table ------------------------------------------------------------------------------


def result_file(folder, *, with_contexts=True):
    """A result file in the harness's layout, with eight conditions."""
    settings = {
        "draws": 20,
        "overconfidence_threshold": 0.8,
        "temperature": 0.7,
        "reasoning": "auto",
    }
    configs, results = {}, {}
    for condition in CONDITIONS:
        about = {
            "dataset": {"name": "RadSaFE-200", "version": "1.0", "items": 200, "demo": False},
            "settings": settings, "prompt_sha256": "", "condition": condition,
        }  # fmt: skip
        if with_contexts:
            about["contexts"] = None if condition == "closed_book" else contexts(condition)
        configs[f"radsafe_{condition}"] = {"metadata": {"safescale": about}}
        results[f"radsafe_{condition}"] = {
            "accuracy,letter": 0.5,
            "accuracy_stderr,letter": 0.0625,
            "sample_len": 200,
        }
    path = folder / "results_1.json"
    path.write_text(
        json.dumps(
            {"model_name": "some/model", "date": 1.0, "configs": configs, "results": results}
        ),
        encoding="utf-8",
    )
    return str(path)


def contexts(condition):
    about = {
        "builder": {"name": "a_builder_with_a_long_name"},
        "tokens": {"mean": 98765.4},
        "flagged": 17,
        "measures": {
            "recall": 0.8125,
            "reciprocal_rank": None,
            "evidence_coverage": 0.5,
            "evidence_in_best_passage": 0.25,
        },
    }
    if condition not in ("clean", "conflict"):
        about |= {
            "retriever": {"retriever": "hybrid"},
            "corpus": {"corpus": "a-corpus-of-some-length"},
        }
    return about


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_no_figure_is_cut_however_narrow_the_terminal(tmp_path, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    shown = run(app, ["table", result_file(tmp_path), "--svg", str(tmp_path / "table.svg")])
    assert shown.exit_code == 0
    narrow = run(app, ["table", result_file(tmp_path)]).output
    for output in (shown.output, narrow):
        assert "…" not in output
        assert output.count("50.0 ±  6.2") == 8
        section = output[output.index("What was shown above the questions") :]
        # columns that do not fit beside stand below
        for figure in ("98,765", "0.812", "0.500", "0.250", "17"):
            assert section.count(f" {figure} │") == 7, figure
    assert "…" not in (tmp_path / "table.svg").read_text(encoding="utf-8")


def test_questions_for_which_nothing_or_too_little_was_found_are_counted_in_a_column_of_their_own(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "250")
    counts = {
        "rag": {"nothing_found": 3, "fewer_found": 14, "items": 200},
        "rag_top1": {"nothing_found": 3, "fewer_found": 0, "items": 200},
    }
    unknown = contexts

    def counted(condition):
        return unknown(condition) | counts.get(condition, {})

    monkeypatch.setitem(globals(), "contexts", counted)
    shown = run(app, ["table", result_file(tmp_path)]).output
    lines = {
        line.split()[1]: [cell.strip() for cell in line.split("│")]
        for line in shown.splitlines()
        if "98,765" in line
    }
    head = next(line for line in shown.splitlines() if "none found" in line)
    place = [cell.strip() for cell in head.split("┃")].index("none found")
    assert lines["rag"][place : place + 2] == ["3 of 200", "14 of 200"]
    assert lines["rag_top1"][place : place + 2] == ["3 of 200", "0 of 200"]
    assert lines["clean"][place : place + 2] == ["-", "-"]  # of an older version, or not recorded
    assert "None found: questions for which the search found no passage" in " ".join(shown.split())


def test_where_enough_was_found_for_every_question_there_is_no_such_column(tmp_path):
    assert "none found" not in run(app, ["table", result_file(tmp_path)]).output


def test_older_result_files_are_still_read(tmp_path):
    shown = run(app, ["table", result_file(tmp_path, with_contexts=False)])
    assert shown.exit_code == 0
    assert shown.output.count("50.0 ±  6.2") == 8
    assert "What was shown" not in shown.output


def test_two_files_are_compared_on_the_screen_as_json_and_as_csv(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert build(first, "--top-k", "1").exit_code == 0
    assert build(second, "--top-k", "5").exit_code == 0
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    options = ["--dataset", "demo", "--json", str(out), "--csv", str(table)]
    shown = run(app, ["contexts", "compare", str(first), str(second), *options])
    assert shown.exit_code == 0, shown.output
    for text in ("60 items", "recall", "changed most: demo-", "Not compared: recall_at_5 (only B"):
        assert text in shown.output
    made = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["measure"]: row for row in made["differences"]}
    assert rows["recall"]["interval"] == "tango"
    assert rows["recall"]["only_a"] == 0 < rows["recall"]["only_b"]
    assert rows["recall_at_1"]["delta"] == 0
    assert rows["tokens"]["delta_lo"] > 0
    assert (made["items"], made["by_units"], made["failed"]) == (60, False, [])
    lines = table.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[0].startswith("a,b,dataset_fingerprint,measure,value_a,value_b,n,units")


def test_files_of_other_data_are_not_compared(tmp_path):
    path, other = tmp_path / "a.jsonl", tmp_path / "q.jsonl"
    assert build(path, "--top-k", "1").exit_code == 0
    item = {"question_id": "q", "question": "Embolus?", "options": {"A": "a", "B": "b"}}
    other.write_text(json.dumps({**item, "answer": "A"}) + "\n", encoding="utf-8")
    refused = run(app, ["contexts", "compare", str(path), str(path), "--dataset", str(other)])
    assert "built for the data set demo" in said(refused)
    assert "no such file" in said(run(app, ["contexts", "compare", str(path), str(path) + "x"]))


def fails(rows):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    "make", [fails, lambda rows: "text", lambda rows: Section("Odd", None, None)]
)
def test_a_section_that_fails_is_reported_and_hides_nothing(tmp_path, monkeypatch, make):
    plugin = plugins().found[0]
    parts = [
        Part("report section", name, ReportSection(name, "", function), "some-plugin", "1.2")
        for name, function in (
            ("broken", make),
            ("sound", lambda rows: Section("Sound", ("a",), (("b",),))),
        )
    ]
    monkeypatch.setattr(plugin, "parts", [*plugin.parts, *parts])
    shown = run(app, ["table", result_file(tmp_path)])
    assert shown.exit_code == 0
    assert "report section broken (some-plugin 1.2) failed" in " ".join(shown.output.split())
    for text in ("50.0 ±  6.2", "What was shown above the questions", "Sound"):
        assert text in shown.output

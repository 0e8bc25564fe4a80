"""The page of the tables names exactly the columns that are written."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale import analysis
from lm_eval_safescale.analysis import (
    COLUMNS,
    PRESETS,
    TABLES,
    Dispute,
    Disputes,
    Study,
    about,
    make_tables,
)
from lm_eval_safescale.runs import Runs
from tests.analysis.making import random_plain

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "analysis.md").read_text(encoding="utf-8")


def documented(table: str) -> list[str]:
    """The columns in the first cells of the table with that header; "_lo" stands for the name
    before it with that ending."""
    found: list[str] = []
    (body,) = re.findall(
        rf"^\| {table} \| meaning \|\n(.*?)(?:\n\n|\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    for line in body.splitlines()[1:]:
        first = ""
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
            first = first if name.startswith("_") else name
            found.append(first + name if name.startswith("_") else name)
    return found


def columns_of(table):
    return list(table) if isinstance(table, dict) else list(table[0])


@pytest.fixture(scope="module")
def written():
    plain = random_plain(
        1, models=4, conditions=("closed_book", "clean", "conflict", "rag"), n=10, k=3
    )
    names = [
        "DeepSeek-R1",
        "Llama-3.3-70B-Instruct",
        "Mistral-Large-3-675B-Instruct-2512",
        "Qwen3-32B",
    ]
    plain.answered = {
        (names[int(model[-1])], condition): answers
        for (model, condition), answers in plain.answered.items()
    }
    runs = plain.runs()
    runs = Runs(
        runs.items.with_columns(group_subspecialty=pl.Series(["chest", "neuro"] * 5)),
        runs.answers.with_columns(context_tokens=pl.lit(100), evidence_coverage=pl.lit(0.5)),
        runs.about,
    )
    other = random_plain(2, models=1).runs()
    other.about["dataset"]["fingerprint"] = "e" * 64
    known = {"model": pl.lit(names[0])}
    beside = Runs(other.items, other.answers.with_columns(**known), other.about)
    disputes = Disputes((Dispute(runs.items["question_id"][0], "other"),), "disputes.json", "")
    study = Study(runs, beside=Study(beside), disputes=disputes)
    tables, failed = make_tables(study, PRESETS["default"])
    assert failed == {}
    return tables


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_on_the_page_are_those_written(table, written):
    assert sorted(documented(table)) == sorted(columns_of(written[table]))


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_of_a_table_without_rows_are_those_written_in_their_order(table, written):
    assert COLUMNS[table] == tuple(columns_of(written[table]))
    assert set(COLUMNS) == set(TABLES)


def test_every_table_has_its_chapter_and_no_other():
    assert set(TABLES) == set(re.findall(r"^\| (\w+) \| meaning \|", PAGE, re.MULTILINE))
    assert set(TABLES) <= set(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE))


def test_every_table_is_a_function_in_python_that_gives_the_same_rows():
    study = Study(random_plain(1).runs())
    for name, make in TABLES.items():
        assert name in analysis.__all__
        made = make(study, PRESETS["default"])
        rows = (
            made
            if isinstance(made, list)
            else [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]
        )
        assert getattr(analysis, name)(study).to_dicts() == rows


def test_a_frame_without_rows_has_its_columns():
    frame = analysis.selective(random_plain(1, k=0).runs())
    assert frame.height == 0
    assert frame.columns == list(COLUMNS["selective"])
    assert frame.filter(model="model-0", threshold=0.5).height == 0


def test_what_about_json_holds_is_on_the_page():
    chapter = PAGE.split("## about.json")[1].split("\n## ")[0]
    facts = set(about(Study(random_plain(1).runs()), "default")) | {"tables", "failed", "unread"}
    assert facts <= set(re.findall(r"`(\w+)`", chapter))


def test_the_presets_on_the_page_are_those_there_are():
    chapter = PAGE.split("## Presets")[1].split("\n## ")[0]
    assert [f"`{name}`" for name in PRESETS] == [
        cell.strip() for cell in chapter.split("\n| |")[1].split("\n")[0].strip(" |").split("|")
    ]

"""`safescale table` shows a result file or says what is wrong with it, whatever is in it; and what
it draws is XML.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets import printable
from lm_eval_safescale.errors import SafescaleError

CONTEXTS = {
    "condition": "rag", "builder": {"name": "rag", "provided_by": "us", "settings": {"top_k": 3}},
    "items": 60, "tokenizer": "words", "retriever": {"retriever": "bm25", "settings": {}},
    "corpus": {"corpus": "demo", "articles": 120}, "window": None,
    "tokens": {"least": 1, "mean": 2.5, "most": 4},
    "measures": {"recall": 0.5, "reciprocal_rank": None, "leak": 0.1}, "scored": {"recall": 60},
    "truncated": 0, "flagged": 2, "failed": 1,
}  # fmt: skip
ABOUT = {
    "version": "0.1.0",
    "condition": "rag",
    "dataset": {"name": "demo", "version": "1.0", "fingerprint": "f", "items": 60, "demo": True},
    "settings": {
        "draws": 5,
        "overconfidence_threshold": 0.8,
        "temperature": 0.7,
        "reasoning": "auto",
        "reader": "strict",
        "metrics": {},
    },
    "prompt_sha256": "p",
    "contexts": CONTEXTS,
    "left_out": 1,
    "failed_metrics": {},
}
RESULT = {
    "alias": "radsafe_rag", "sample_len": 60, "name": "x", "accuracy,letter": 0.5,
    "accuracy_stderr,letter": 0.0625, "high_risk_error,letter": "not scored",
    "high_risk_error_stderr,letter": "N/A", "confidence,letter": 1, "mine,letter": 0.25,
}  # fmt: skip
CONTENT = {
    "results": {"radsafe_rag": RESULT, "arc": {"acc,none": 3}},
    "configs": {"radsafe_rag": {"metadata": {"safescale": ABOUT}}, "arc": {}},
    "model_name": "org/model", "model_source": "hf", "date": 1.5,
    "config": {"model_args": {"pretrained": "org/model"}}, "chat_template_sha": None,
}  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a value, itself left out."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        found for name, each in inner for found in [(*path, name), *places(each, (*path, name))]
    ]


PLACES = places(CONTENT)
HOSTILE = [
    None, True, False, 0, 1, -1, 2**63, 10**400, -0.5, 1e308, float("nan"), float("inf"), "", "0.5",
    "x", "not scored", "N/A", "\ud800", "\ufffe", "\u202eabc", "<b>&", "\x1b[2J\x00", [], {}, [[]],
    [None], {"": {}}, {"a": 1}, [{"name": 1}], "x" * 3000, ["accuracy"],
]  # fmt: skip


def changed(place: tuple, value: Any, how: str) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    holder: Any = content
    for name in place[:-1]:
        if not isinstance(holder, dict | list) or (isinstance(holder, dict) and name not in holder):
            return content
        holder = holder[name]
    if not isinstance(holder, dict):
        return content
    if how == "gone":
        holder.pop(place[-1], None)
    elif how == "renamed":
        holder[str(value)] = holder.pop(place[-1], None)
    else:
        holder[place[-1]] = value
    return content


def shown(path: Path, *more: str) -> str:
    """What the command says; any other error than one of ours is a failure."""
    done = CliRunner().invoke(app, ["table", str(path), *more])
    if done.exception is not None and not isinstance(done.exception, SystemExit | SafescaleError):
        raise done.exception
    if isinstance(done.exception, SafescaleError):
        assert path.name in str(done.exception)
        return f"error: {done.exception}"
    return done.output


def written(folder: Path, content: Any) -> Path:
    path = folder / "results_1.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_the_file_that_is_changed_below_is_a_good_one(tmp_path):
    said = shown(written(tmp_path, CONTENT))
    assert "org/model on demo 1.0 - DEMO" in said
    assert "rag: bm25 on demo" in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PLACES),
            st.sampled_from(HOSTILE),
            st.sampled_from(["set", "gone", "renamed"]),
        ),
        min_size=1,
        max_size=1,
    )
)
def test_a_file_in_which_anything_is_changed_is_shown_or_refused_and_drawn_as_xml(
    tmp_path, changes
):
    ((place, value, how),) = changes
    path, picture = written(tmp_path, changed(place, value, how)), tmp_path / "table.svg"
    picture.unlink(missing_ok=True)
    said = shown(path, "--svg", str(picture))
    assert "Traceback" not in said
    assert "failed: " not in said, "our own section"
    if picture.exists():
        ElementTree.fromstring(picture.read_text(encoding="utf-8"))


def test_every_place_is_changed_to_every_kind_of_value(tmp_path):
    """Without drawing, which takes most of the time."""
    from lm_eval_safescale.report import read_results

    for place in PLACES:
        for value in HOSTILE:
            for how in ("set", "renamed"):
                path = written(tmp_path, changed(place, value, how))
                with suppress(SafescaleError):
                    rows = read_results([path])
                    assert all(
                        abs(mean) <= 1e9
                        for row in rows
                        for mean, _ in filter(None, row.values.values())
                    )


@given(
    st.recursive(
        st.sampled_from(HOSTILE),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CONTENT, "x"]), inner)
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_json_is_refused(tmp_path, content):
    assert shown(written(tmp_path, content)).startswith("error: ")


@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"\xff\xfe\x00", b"{", b"nul", b"[" * 100_000,
        b'{"configs": ' + b"[" * 700 + b"]" * 700 + b"}", b"\xed\xa0\x80", b'"\\ud800"',
        gzip.compress(json.dumps(CONTENT).encode(), mtime=0)[:40],
        json.dumps(CONTENT).encode()[:300], json.dumps(CONTENT).encode("utf-16"), b"9" * 5000,
        b'{"results": 1' + b"0" * 5000 + b"}", b"\x00" * 100,
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_the_file(content, tmp_path):
    path = tmp_path / "results_1.json"
    path.write_bytes(content)
    said = shown(path)
    assert said.startswith(f"error: {path}")
    assert "expected its results_*.json" in said


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (
            ("results", "radsafe_rag", "accuracy,letter"),
            "0.5",
            "radsafe_rag: accuracy,letter is '0.5'; expected a number, or 'not scored'",
        ),
        (
            ("results", "radsafe_rag", "accuracy,letter"),
            10**10,
            "accuracy,letter is 10000000000; expected a number, or",
        ),
        (("results", "radsafe_rag", "accuracy,letter"), None, "accuracy,letter is None; expected"),
        (
            ("results", "radsafe_rag", "sample_len"),
            "60",
            "radsafe_rag, sample_len: Expected `int`, got `str`",
        ),
        (("results", "radsafe_rag"), [], "radsafe_rag, results: Expected `object`, got `array`"),
        (("results",), [], "Expected `object`, got `array` - at `$.results`"),
        (("configs", "radsafe_rag", "metadata", "safescale", "dataset"), "demo", "at `$.dataset`"),
        (
            ("configs", "radsafe_rag", "metadata", "safescale", "settings", "draws"),
            None,
            "settings: Expected `int`, got `null`",
        ),
        (
            ("configs", "radsafe_rag", "metadata", "safescale", "contexts", "tokens"),
            {},
            "contexts: Object missing required field `mean`",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_was_expected(place, value, said, tmp_path):
    assert said in shown(written(tmp_path, changed(place, value, "set")))


def test_a_mean_over_nothing_is_not_scored(tmp_path):
    said = shown(
        written(
            tmp_path, changed(("results", "radsafe_rag", "accuracy,letter"), float("nan"), "set")
        )
    )
    assert re.search(r"accuracy\W+not scored", said)


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    done = CliRunner().invoke(
        app, ["table", str(written(tmp_path, CONTENT)), "--svg", str(tmp_path / "no" / "x.svg")]
    )
    assert isinstance(done.exception, SafescaleError)


# --- names ----------------------------------------------------------------------------------------

NAMES = st.text(st.characters(), min_size=1, max_size=40)  # halves of surrogate pairs, too


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, NAMES, NAMES, NAMES)
def test_any_name_is_drawn_as_xml_and_cannot_turn_the_line_round(
    tmp_path, model, condition, corpus, metric
):
    content = copy.deepcopy(CONTENT)
    about = content["configs"]["radsafe_rag"]["metadata"]["safescale"]
    content["model_name"], about["condition"], about["contexts"]["corpus"]["corpus"] = (
        model,
        condition,
        corpus,
    )
    content["results"]["radsafe_rag"][f"{metric.replace(',', '')},letter"] = 0.5
    about["dataset"]["name"], about["settings"]["reader"] = model, metric
    picture = tmp_path / "table.svg"
    said = shown(written(tmp_path, content), "--svg", str(picture))
    drawn = picture.read_text(encoding="utf-8")
    ElementTree.fromstring(drawn)
    for text in (said, drawn):
        assert not {
            each
            for each in text
            if unicodedata.bidirectional(each)
            in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        }
        assert not set(text) & set("\x00\x1b\x07\ufffe\uffff")


@pytest.mark.parametrize("first", range(0, 0x10000, 0x800))
def test_every_character_of_the_basic_plane_is_drawn_as_xml(first, tmp_path):
    content = copy.deepcopy(CONTENT) | {
        "model_name": "".join(map(chr, range(first, first + 0x800)))
    }
    picture = tmp_path / "table.svg"
    shown(written(tmp_path, content), "--svg", str(picture))
    ElementTree.fromstring(picture.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "<b>x</b>",
        "[red]x[/red]",
        "]]>",
        "&amp;",
        "<!--",
        "a\u202eb",
        '" onload="x',
        "x\ny",
        "[/]",
        "\\[x",
    ],
)
def test_markup_in_names_is_shown_as_it_is(name, tmp_path):
    picture = tmp_path / "table.svg"
    said = shown(written(tmp_path, CONTENT | {"model_name": name}), "--svg", str(picture))
    assert printable(name) in said
    texts = "".join(ElementTree.fromstring(picture.read_text(encoding="utf-8")).itertext()).replace(
        "\xa0", " "
    )
    assert printable(name).split("\n")[0] in texts

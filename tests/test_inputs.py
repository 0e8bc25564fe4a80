"""What a user names as a file is read with bounds: nothing that has no end, and nothing that stands
for more than it shows.
"""

from __future__ import annotations

import json
import os
import socket
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.analysis import load_panel
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.datasets import check_file, load_file
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.choice.family import PROMPT
from lm_eval_safescale.importing import import_lm_eval
from lm_eval_safescale.inputs import (
    InputError,
    most_bytes,
    opened,
    read_bytes,
    read_json,
    read_text,
    read_yaml,
)
from lm_eval_safescale.json_text import DEEPEST, RefusedJSONError, decode_json, is_deep
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.report import read_results
from lm_eval_safescale.retrieval import load_corpus
from lm_eval_safescale.retrieval.quality import load_settling
from lm_eval_safescale.settings import load_settings
from lm_eval_safescale.sweep import read_sweep
from lm_eval_safescale.yaml_text import MOST_CHARACTERS, MOST_VALUES, RefusedYAMLError, decode_yaml

READERS = {
    "prompt": (lambda path: load_prompt(path, PROMPT), ".yaml"), "sweep": (read_sweep, ".yaml"),
    "panel": (load_panel, ".yaml"), "data": (load_file, ".jsonl"),
    "data as JSON": (load_file, ".json"), "data as CSV": (load_file, ".csv"),
    "corpus": (load_corpus, ".jsonl"),
    "settling articles": (lambda path: load_settling(path, ["a"]), ".jsonl"),
    "contexts": (read_contexts, ".jsonl"), "results": (lambda path: read_results([path]), ".json"),
    "logs": (lambda path: import_lm_eval([path]), ".json"),
}  # fmt: skip
"""Everything that reads a file which a user names, and how such a file is called."""


def link(target: str):
    return lambda path: path.symlink_to(target)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # names of sockets are short


NO_FILES = {
    "pipe": (os.mkfifo, "a pipe; expected a file"),
    "endless device": (link("/dev/zero"), "a device; expected a file"),
    "silent device": (link("/dev/tty"), "a device; expected a file"),
    "socket": (bind, "a socket; expected a file"),
    "nothing": (lambda path: None, "no such file|No such file"),
    "link to nothing": (link("nowhere"), "no such file|No such file"),
    "link to itself": (lambda path: path.symlink_to(path), "no such file|symbolic links"),
}


@pytest.mark.parametrize(("make", "said"), NO_FILES.values(), ids=NO_FILES)
@pytest.mark.parametrize(("read", "suffix"), READERS.values(), ids=READERS)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    read, suffix, make, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"it{suffix}"
    make(path)
    with pytest.raises(SafescaleError, match=said) as refused:
        read(path)
    assert path.name in str(refused.value)


@pytest.mark.parametrize(
    ("read", "suffix"),
    [each for name, each in READERS.items() if name not in ("corpus", "results", "logs")],
)
def test_a_directory_is_no_file(read, suffix, tmp_path):
    path = tmp_path / f"it{suffix}"
    path.mkdir()
    with pytest.raises(SafescaleError, match="a directory; expected a file"):
        read(path)


@pytest.mark.parametrize(
    ("read", "suffix"), [each for name, each in READERS.items() if each[1] != ".yaml"]
)
def test_a_file_of_more_than_the_limit_is_refused_with_the_variable_that_raises_it(
    read, suffix, tmp_path, monkeypatch
):
    path = tmp_path / f"it{suffix}"
    with path.open("wb") as file:
        file.truncate(10**12)  # it takes no room
    with pytest.raises(
        SafescaleError, match=r"1,000,000\.0 MB; expected at most 2,000 MB.*SAFESCALE_MAX_FILE_MB"
    ):
        read(path)


@pytest.mark.parametrize(
    ("read", "suffix"), [each for each in READERS.values() if each[1] == ".yaml"]
)
def test_a_yaml_file_is_small_whatever_the_variable_says(read, suffix, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "9000000")
    path = tmp_path / f"it{suffix}"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(SafescaleError, match="expected at most 2 MB"):
        read(path)


def test_the_limit_can_be_raised_and_lowered(tmp_path, monkeypatch):
    path = tmp_path / "it"
    path.write_bytes(b"x" * 1001)
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "0.001")
    assert most_bytes() == 1000
    with pytest.raises(InputError, match=r"0\.0 MB"):
        read_bytes(path)
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "0.002")
    assert read_bytes(path) == b"x" * 1001
    load_settings({}, {"SAFESCALE_MAX_FILE_MB": "0.002"})  # it is known there


@pytest.mark.parametrize("value", ["no", "0", "-1", "nan", "inf", "1e300", "9" * 5000])
def test_a_limit_that_is_none_is_named(value, monkeypatch, tmp_path):
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", value)
    (tmp_path / "it").write_bytes(b"")
    with pytest.raises(
        SafescaleError, match=r"SAFESCALE_MAX_FILE_MB = .*expected a number of megabytes above 0"
    ):
        read_bytes(tmp_path / "it")


def test_a_file_that_grows_while_it_is_read_is_read_no_further(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "1")
    path = tmp_path / "it"
    path.write_bytes(b"x" * 900_000)
    fstat = os.fstat

    def grown(descriptor):
        found = fstat(descriptor)
        with path.open("ab") as file:
            file.write(b"x" * 900_000)
        return found

    monkeypatch.setattr(os, "fstat", grown)
    with pytest.raises(InputError, match="expected at most 1 MB"):
        read_bytes(path)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000])
def test_what_can_be_no_name_is_named(name):
    with pytest.raises(InputError), opened(Path(name)):
        pass


def test_another_encoding_is_named_with_the_line(tmp_path):
    (tmp_path / "it").write_bytes(b"a\ncaf\xe9")
    with pytest.raises(InputError, match=r"line 2: not UTF-8 text .byte 0xe9.; save it as UTF-8"):
        read_text(tmp_path / "it")
    (tmp_path / "it").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "it") == "a"


def test_pipes_in_a_folder_of_articles_are_left_out_and_said(tmp_path):
    (tmp_path / "a.md").write_text("Text.")
    os.mkfifo(tmp_path / "b.md")
    corpus = load_corpus(tmp_path)
    assert [article.id for article in corpus] == ["a.md"]
    assert [(each.item, each.message.partition(":")[0]) for each in corpus.warnings] == [
        ("b.md", "left out")
    ]


def test_a_folder_of_more_than_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "1")
    for name in "abc":
        (tmp_path / f"{name}.md").write_text("word " * 100_000)
    with pytest.raises(
        SafescaleError, match=r"1\.5 MB; expected at most 1 MB .SAFESCALE_MAX_FILE_MB"
    ):
        load_corpus(tmp_path)


# --- YAML -----------------------------------------------------------------------------------------


def doubling(first: str, each: str, times: int = 30) -> str:
    """Lines that name the one before ten times."""
    lines = [f"a0: &a0 {first}"]
    for number in range(1, times):
        lines.append(f"a{number}: &a{number} " + each.format(*([f"*a{number - 1}"] * 10)))
    return "\n".join(lines)


BOMBS = {
    "aliases of lists": (doubling("[x]", "[{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]"), "more than"),
    "aliases of mappings": (
        doubling(
            "{x: y}", "{{a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, g: {}, h: {}, i: {}, j: {}}}"
        ),
        "more than",
    ),
    "aliases as keys": (
        doubling("x", "[{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]") + "\nb: {? *a29 : x}",
        "more than",
    ),
    "merged mappings": (
        doubling("{x: y}", "{{<<: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]}}"),
        "more than",
    ),
    "a list in itself": ("a: &a [*a]", "more than"),
    "a mapping in itself": ("a: &a {x: *a}", "more than"),
    "a mapping merged into itself": ("a: &a {<<: *a}", "more than"),
    "a chain of aliases": (
        "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 3000))]),
        "nested too deeply",
    ),
    "deep lists": ("[" * 100_000, "nested too deeply"),
    "deep mappings": ("{a: " * 100_000, "nested too deeply"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(900)), "nested too deeply"),
    "deep dashes": ("- " * 100_000, "nested too deeply"),
    "deep questions": ("? " * 100_000, "nested too deeply"),
    "many values": ("[" + "1," * (MOST_VALUES + 1) + "]", "more than"),
    "long": ("#" * (MOST_CHARACTERS + 1), "characters; expected YAML of at most"),
    "a number of many digits": ("a: " + "9" * 100_000, "a number of 100,000 characters"),
    "a number to the base of 60": (
        "a: " + ":".join(["1", *["59"] * 100_000]),
        "a number of 300,001 characters",
    ),
    "a number to the base of 16": ("a: 0x" + "f" * 100_000, "a number of 100,002 characters"),
    "a fraction to the base of 60": (
        "a: " + ":".join(["1", *["59"] * 100_000]) + ".5",
        "a number of",
    ),
}


@pytest.mark.parametrize(("text", "said"), BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize(
    ("read", "suffix"),
    [(read_yaml, ".yaml"), *(each for each in READERS.values() if each[1] == ".yaml")],
)
def test_a_bomb_is_refused_in_every_yaml_file_before_anything_is_made_of_it(
    read, suffix, text, said, tmp_path
):
    path = tmp_path / f"it{suffix}"
    path.write_text(text)
    tracemalloc.start()
    with pytest.raises(SafescaleError, match=said) as refused:
        read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.name in str(refused.value)
    assert most < 300e6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line 1: no YAML"),
        ("a: 1\nb: [}", "line 2: no YAML"),
        ("a: 1\na: 2", "line 2: a stands here twice"),
        ("- a: 1\n- {b: 1,\n  'b': 2}", "line 3: b stands here twice"),
        ("!!python/object/apply:os.getcwd []", "no YAML"),
        ("a: 2024-13-45", "expected such a text in quotes"),
        ("a: \0", "no YAML"),
        ("a: 1\n---\nb: 2", "no YAML"),
        ("{[1]: 2}", "no YAML"),
        ("a: *b", "no YAML"),
        ("!!binary x", "no YAML"),
        ("a:\t- b", "no YAML"),
    ],
)
def test_what_is_no_yaml_is_named_with_the_line(text, said, tmp_path):
    (tmp_path / "it.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_yaml(tmp_path / "it.yaml")


def test_aliases_and_merged_mappings_are_read_as_they_are_meant():
    text = (
        "base: &base {x: 1, y: 2}\np: {q: &q {<<: *base, x: 3}}\nr: {<<: *q, y: 9, z: 1e3}\n"
        "s: [*base, *base]"
    )
    base = {"x": 1, "y": 2}
    read = decode_yaml(text)
    assert (read["base"], read["p"]["q"], read["s"]) == (base, {"x": 3, "y": 2}, [base, base])
    assert (read["r"]["y"], read["r"]["z"]) == (9, 1000.0)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_is_no_bomb_reads_as_it_was_written(value, flow):
    quoted = yaml.safe_dump(
        value, default_flow_style=flow, allow_unicode=True, default_style='"'
    )  # else 1E0 would be a number to us
    assert decode_yaml(quoted) == value


@given(st.text("ab:-?[]{}&*!|>'\"%@` \n#,<0123456789.e", max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(RefusedYAMLError):
        decode_yaml(text)


# --- JSON -----------------------------------------------------------------------------------------


@given(values)
def test_json_reads_as_it_was_written(value):
    assert decode_json(json.dumps(value)) == value
    assert decode_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("depth", [DEEPEST + 1, 500, 2000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_deep_json_is_refused(depth, opening, closing):
    text = opening * depth + "1" + closing * depth
    with pytest.raises(RefusedJSONError, match="nested too deeply"):
        decode_json(text)


def test_as_deep_as_is_allowed_is_not_too_deep():
    text = "[" * DEEPEST + "]" * DEEPEST
    assert decode_json(text) is not None
    assert not is_deep(json.loads(text))
    assert is_deep(json.loads(f"[{text}]"))
    assert decode_json("[" + "[]," * 1000 + "[]]")  # wide is not deep


DEEP = "[" * 100_000 + "]" * 100_000
LESS = "[" * 700 + "]" * 700
"""What Python reads, but cannot print or write again wherever it stands a little deeper."""


@pytest.mark.parametrize("deep", [DEEP, LESS], ids=["deep", "less deep"])
@pytest.mark.parametrize(
    ("read", "suffix"), [each for name, each in READERS.items() if each[1] in (".json", ".jsonl")]
)
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{{"question_id": {}}}',
        '{{"x": {}}}',
        '[{{"id": "1", "options": {}}}]',
        '{{"configs": {}, "results": 1}}',
    ],
)
def test_deep_json_is_an_error_of_every_file(read, suffix, text, deep, tmp_path):
    path = tmp_path / f"it{suffix}"
    path.write_text(text.format(deep))
    with pytest.raises(SafescaleError):
        read(path)


@pytest.mark.parametrize("deep", [DEEP, LESS], ids=["deep", "less deep"])
def test_deep_json_in_a_cell_is_an_error_of_the_item(deep, tmp_path):
    path = tmp_path / "it.csv"
    path.write_text(f'id,question,options,answer\n1,Why?,"{deep}",A\n')
    assert any("nested too deeply" in problem.message for problem in check_file(path))


@pytest.mark.parametrize("deep", [DEEP, LESS], ids=["deep", "less deep"])
def test_deep_json_in_settings_is_an_error(deep):
    with pytest.raises(SafescaleError, match=r"retriever_args.*nested too deeply"):
        load_settings({}, {"SAFESCALE_RETRIEVER_ARGS": f'{{"a": {deep}}}'})
    inner: list = []
    for _ in range(5000):
        inner = [inner]
    with pytest.raises(SafescaleError, match=r"metrics .*nested too deeply"):
        load_settings({"metrics": {"x": {"a": inner}}}, {})


def test_names_that_stand_twice_are_refused_where_one_would_be_lost(tmp_path):
    (tmp_path / "it.json").write_text('{"a": 1, "a": 2}')
    assert read_json(tmp_path / "it.json") == {"a": 2}
    with pytest.raises(InputError, match="'a' stands twice"):
        read_json(tmp_path / "it.json", names_once=True)

"""A corpus is read as it was meant, or refused with every problem named by file, line and id."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.datasets.problems import DataError
from lm_eval_safescale.retrieval import Article, Corpus, load_corpus


@pytest.fixture
def lines(tmp_path):
    """A JSON lines file of records, or of the bytes given."""

    def write(*records, name="corpus.jsonl"):
        path = tmp_path / name
        path.write_bytes(
            b"".join(
                each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n"
                for each in records
            )
        )
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    """A folder of files by name, text or bytes."""

    def write(**files):
        for name, content in files.items():
            path = tmp_path / "corpus" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "corpus"

    return write


GOOD = {"id": "a", "title": "Ulcer", "text": "Free air."}


def test_text_may_be_called_content_ids_may_be_numbers_and_titles_may_lack(lines):
    path = lines(
        {"id": 7, "contents": "Seven."},
        {"id": " b ", "title": None, "content": "Bee."},
        GOOD | {"url": "x"},
    )
    assert load_corpus(path).articles == (
        Article("7", "", "Seven."),
        Article("a", "Ulcer", "Free air."),
        Article("b", "", "Bee."),
    )


def test_a_corpus_is_named_after_its_file_unless_told(lines):
    path = lines(GOOD)
    assert load_corpus(path).name == "corpus.jsonl"
    assert load_corpus(path, name="mine").name == "mine"


def test_title_and_text_are_joined_by_an_empty_line():
    assert Article("a", "Ulcer", "Free air.").whole == "Ulcer\n\nFree air."
    assert Article("a", "", "Free air.").whole == "Free air."


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\n\n", b""])
def test_a_byte_order_mark_and_line_ends_do_not_enter(ending, lines):
    path = lines(
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + (ending or b"\n"),
        json.dumps(GOOD | {"id": "b"}).encode() + ending,
    )
    assert [article.text for article in load_corpus(path)] == ["Free air."] * 2


def test_neither_the_order_of_the_file_nor_its_name_changes_the_fingerprint(lines):
    records = [GOOD | {"id": each} for each in ("10", "9", "b", "a")]
    left, right = (
        load_corpus(lines(*records)),
        load_corpus(lines(*records[::-1], name="other.ndjson")),
    )
    assert [article.id for article in left] == ["10", "9", "a", "b"]  # as strings
    assert left.articles == right.articles
    assert left.fingerprint == right.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"id": "c"},
        {"title": "Ulcers"},
        {"text": "Free air"},
        {"title": "Ulcer F", "text": "ree air."},
    ],
)
def test_any_change_of_a_record_changes_the_fingerprint(change, lines):
    assert load_corpus(lines(GOOD)).fingerprint != load_corpus(lines(GOOD | change)).fingerprint


BAD = {
    "torn last line": (b'{"id": "x", "title": "T", "te', ":2: half-written last line: not JSON"),
    "torn line in the middle": (b'{"id": "x", "te\n{"id": "y", "text": "t"}\n', ":2: not JSON"),
    "not UTF-8": (b'{"id": "x", "text": "caf\xe9"}\n', ":2: not UTF-8"),
    "a list": ([1], ":2: expected an object with id, title and text, found list"),
    "no id": ({"text": "t"}, ":2: id: expected a text or a whole number; the record has text"),
    "an empty id": ({"id": " ", "text": "t"}, ":2: id: expected"),
    "a true id": ({"id": True, "text": "t"}, ":2: id: expected"),
    "a fraction as id": ({"id": 1.5, "text": "t"}, ":2: id: expected"),
    "no text": (
        {"id": "x", "title": "T"},
        ":2: item x: text: expected text under one of text, content, contents",
    ),
    "a number as text": ({"id": "x", "text": 5}, ":2: item x: text: expected text"),
    "a list as title": (
        {"id": "x", "text": "t", "title": ["T"]},
        ":2: item x: title: expected text, found list",
    ),
    "empty text": ({"id": "x", "text": " \n"}, ":2: item x: empty text"),
    "twice": ({"id": "a", "text": "t"}, ":2: item a: the id stands twice, first in line 1"),
    "null character": (
        {"id": "x", "text": "a\0b"},
        ":2: item x: not text: it holds the character U+0000",
    ),
    "null character in the title": (
        {"id": "x", "title": "a\0b", "text": "t"},
        ":2: item x: not text",
    ),
    "half a surrogate pair": (
        {"id": "x", "text": "a\ud83d"},
        ":2: item x: not text: it holds the character U+D83D",
    ),
    "half a pair in the title": (
        {"id": "x", "title": "\ude00", "text": "t"},
        ":2: item x: not text",
    ),
    "half a pair in the id": ({"id": "x\ude00", "text": "t"}, "not text"),
    "50 MB": (
        {"id": "x", "text": "infarct " * 6_250_000},
        ":2: item x: 50,000,000 characters; expected at most 10,000,000: split",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_record_is_named_by_line_and_id(bad, lines):
    record, said = BAD[bad]
    path = lines(GOOD, record)
    with pytest.raises(DataError) as error:
        load_corpus(path)
    assert f"{path} cannot be used: 1 problem" in str(error.value)
    assert said in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_number_and_the_same_number_as_text_are_one_id(lines):
    with pytest.raises(DataError, match="the id stands twice, first in line 1"):
        load_corpus(lines(GOOD | {"id": 7}, GOOD | {"id": "7"}))


def test_a_whole_surrogate_pair_is_a_character_like_any_other(lines):
    assert (
        load_corpus(lines(b'{"id": "a", "text": "\\ud83d\\ude00"}\n')).articles[0].text
        == "\U0001f600"
    )


def test_all_problems_are_said_at_once(lines):
    with pytest.raises(DataError, match="2 problems") as error:
        load_corpus(lines({"id": "a"}, GOOD, {"text": "t"}))
    assert [problem.line for problem in error.value.problems] == [1, 3]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_no_corpus(content, lines):
    with pytest.raises(DataError, match="no articles"):
        load_corpus(lines(content))


@pytest.mark.parametrize("name", ["corpus.csv", "corpus.json", "corpus"])
def test_another_format_is_refused_with_what_is_read(name, lines):
    with pytest.raises(
        DataError,
        match=(
            r"unknown format .*expected a .jsonl or .ndjson file, or a folder of .md, .markdown, "
            r".txt"
        ),
    ):
        load_corpus(lines(GOOD, name=name))


@pytest.mark.parametrize(
    ("name", "said"), [("none", "no such file or folder"), ("none.jsonl", "cannot be read")]
)
def test_a_missing_corpus_is_named(name, said, tmp_path):
    with pytest.raises(DataError, match=said):
        load_corpus(tmp_path / name)


def test_a_folder_is_read_with_its_subfolders_and_titles_are_headings_or_file_names(folder):
    path = folder(**{
        "b.md": "\ufeff# Ulcer\r\n\r\nFree air.\r\n",
        "deep/a.txt": "# not a heading in a text file\nPlain.",
        "c.markdown": "No heading.\n# Later",
        "only.MD": "# Only a heading",
        ".hidden.md": "no",
        ".git/x.md": "no",
    })  # fmt: skip
    corpus = load_corpus(path)
    assert corpus.articles == (
        Article("b.md", "Ulcer", "Free air."),
        Article("c.markdown", "c", "No heading.\n# Later"),
        Article("deep/a.txt", "a", "# not a heading in a text file\nPlain."),
        Article("only.MD", "only", "# Only a heading"),
    )
    assert corpus.warnings == ()


def test_what_is_no_text_file_is_left_out_with_a_warning(folder):
    corpus = load_corpus(
        folder(**{"a.md": "Text.", "scan.pdf": b"%PDF\xff\0", "sub/b.docx": b"PK"})
    )
    assert [article.id for article in corpus] == ["a.md"]
    assert [(warning.item, warning.is_error) for warning in corpus.warnings] == [
        ("scan.pdf", False),
        ("sub/b.docx", False),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\xff\xfe", "not UTF-8 text"),
        (b"MZ\0\0\0text", "not text: it holds the character U+0000"),
        (b" \n", "empty text"),
    ],
)
def test_a_binary_or_empty_text_file_is_named(content, said, folder):
    with pytest.raises(DataError, match=r"item sub/bad\.txt") as error:
        load_corpus(folder(**{"good.md": "Text.", "sub/bad.txt": content}))
    assert said in str(error.value)


def test_an_empty_folder_and_one_without_texts_are_no_corpus(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", folder(**{"a.pdf": b"x"})):
        with pytest.raises(DataError, match="no articles"):
            load_corpus(path)


def test_a_corpus_made_by_hand_is_put_into_order():
    articles = [Article("b", "", "t"), Article("a", "", "t")]
    assert [article.id for article in Corpus.of("x", articles)] == ["a", "b"]


def test_junk_that_is_nested_deeply_or_repeats_a_name_is_refused_by_line(lines):
    junk = [
        b"[" * 100_000 + b"\n",
        b'{"id": "x", "text": "t", "id": "y"}\n',
        b'{"id": ' + b"9" * 5000 + b', "text": "t"}\n',
    ]
    with pytest.raises(DataError) as error:
        load_corpus(lines(GOOD, *junk, {"id": {"a": [{}]}, "text": "t"}))
    assert [problem.line for problem in error.value.problems] == [2, 3, 4, 5]
    assert "nested too deeply" in error.value.problems[0].message
    assert "'id' stands twice" in error.value.problems[1].message


def test_a_separator_of_lines_inside_a_text_does_not_end_the_record(lines):
    text = "one\u2028two\u0085three"
    path = lines(json.dumps(GOOD | {"text": text}, ensure_ascii=False).encode() + b"\n")
    assert load_corpus(path).articles[0].text == text


def test_links_that_go_in_circles_or_nowhere_do_no_harm(folder, tmp_path):
    path = folder(**{"a.md": "Text.", "sub/b.md": "Text."})
    (path / "sub" / "up").symlink_to(path, target_is_directory=True)
    (path / "self.md").symlink_to(path / "self.md")
    (path / "gone.md").symlink_to(tmp_path / "gone.md")
    corpus = load_corpus(path)
    assert [article.id for article in corpus] == ["a.md", "sub/b.md"]
    # it may hold articles
    assert [(warning.item, warning.is_error) for warning in corpus.warnings] == [("sub/up", False)]


def test_a_subfolder_that_cannot_be_read_is_an_error_and_not_empty(folder, monkeypatch):
    path = folder(**{"a.md": "Text.", "sub/b.md": "Text."})

    def scan(place, scan=os.scandir):
        if str(place).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(DataError, match=r"item sub: cannot be read \(Permission denied\)"):
        load_corpus(path)


@pytest.mark.parametrize("files", [{}, {"a.pdf": "%PDF", "b.html": "<p>"}], ids=["empty", "others"])
def test_a_folder_without_articles_names_what_is_read(files, folder, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(
        DataError, match=r"no articles in it; expected \.md, \.markdown, \.txt files"
    ):
        load_corpus(folder(**files) if files else tmp_path / "none")


def test_a_corpus_inside_a_hidden_folder_is_read(folder):
    path = folder(**{".cache/a.md": "Text."})
    assert len(load_corpus(path / ".cache")) == 1


def test_a_file_name_that_is_no_text_is_told_and_can_be_printed(folder):
    path = folder(**{"a.md": "Text."})
    try:
        (path / "caf\udce9.md").write_text("Text.")
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(DataError, match=r"U\+DCE9") as error:
        load_corpus(path)
    str(error.value).encode()


ARTICLES = st.lists(
    st.builds(Article, st.text(min_size=1), st.text(), st.text()),
    unique_by=lambda a: a.id,
    max_size=6,
)


@given(ARTICLES, ARTICLES, st.randoms())
def test_two_corpora_share_a_fingerprint_exactly_if_they_hold_the_same_articles(
    left, right, random
):
    shuffled = random.sample(left, len(left))
    assert Corpus.of("x", left).fingerprint == Corpus.of("y", shuffled).fingerprint
    assert (Corpus.of("x", left).fingerprint == Corpus.of("x", right).fingerprint) == (
        set(left) == set(right)
    )

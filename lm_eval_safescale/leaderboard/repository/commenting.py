"""The outcome of a check as a comment: every text of it stands in a code span, in which GitHub sees
no mention, link, image, reference or HTML. It believes nothing but the list of changed files, and
knows no network.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lm_eval_safescale.inputs import InputError, read_bytes
from lm_eval_safescale.leaderboard.repository.outcome import (
    MOST_BYTES,
    MOST_FILES,
    Checked,
    Figures,
    Outcome,
    Reason,
    outside,
)
from lm_eval_safescale.leaderboard.verify import Verdicts
from lm_eval_safescale.sentences import percent
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.words import counted

MARK = "<!-- safescale leaderboard -->"
"""First line of the comment, by which it is found again."""
MOST_CHARACTERS = 60_000
"""GitHub takes 65,536."""
SHOWN = 200
"""Characters of a text."""
MARKS = {
    Verdicts.VERIFIED: "✅ verified",
    Verdicts.REFUSED: "❌ refused",
    Verdicts.UNKNOWN: "❔ cannot tell",
}
NEXT = {
    Verdict.DAMAGED: "What is refused and why, one can see at home: "
    "`safescale submit verify FILE`. Push again, and this comment changes.",
    Verdict.UNKNOWN: "What cannot be told here, the organisers decide.",
    Verdict.WHOLE: "An organiser merges it; the board then verifies it once more.",
}
INSTEAD = str.maketrans({"`": "\N{MODIFIER LETTER GRAVE ACCENT}", "|": "\N{BROKEN BAR}", "$": "＄"})
"""What would end a code span, a cell of a table, or begin a formula."""


def code(text: str) -> str:
    """A text of strangers, as Markdown: one code span, in one line, of bounded length."""
    said = "".join(
        character if unicodedata.category(character)[0] != "C" else " " for character in text
    )
    said = " ".join(said.split()).translate(INSTEAD)
    if len(said) > SHOWN:
        said = f"{said[: SHOWN - 1]}…"
    return f"`{said}`" if said else "(empty)"


def read_changed(path: Path) -> list[str]:
    """Names of the files that a pull request changes: a JSON list of texts.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return msgspec.json.decode(read_bytes(path, MOST_BYTES), type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"no JSON list of names ({error})") from None


def as_comment(outcome: Outcome, changed: Sequence[str]) -> str:
    """The comment, as Markdown.

    Parameters
    ----------
    outcome
        What the check says. Whoever sends a pull request can change what the check does by changing
        its file, and then it may say anything.
    changed
        Every file that the pull request changes, from one who knows: where any is no submission,
        nothing of the outcome is shown.
    """
    if others := outside(changed):
        return _joined(_others(others, len(changed)))
    if len(changed) > MOST_FILES:
        return _joined([f"**Not shown**: {len(changed)} files; at most {MOST_FILES} at once."])
    return _joined(_said(outcome, frozenset(changed)))


def _joined(blocks: Sequence[str] | Iterator[str]) -> str:
    """As many blocks as a comment can have."""
    text = MARK
    for block in blocks:
        if len(text) + len(block) > MOST_CHARACTERS:
            return f"{text}\n\nAnd more, which the check's own log has.\n"
        text = f"{text}\n\n{block}"
    return f"{text}\n"


def _others(others: Sequence[str], every: int) -> Iterator[str]:
    yield "### ❌ Not a submission alone"
    yield (
        f"Of {counted(every, 'changed file')}, {len(others)} lie elsewhere than "
        "`submissions/FAMILY/NAME.zip`. Such a pull request may have changed the check itself, so "
        "nothing that its check says is shown."
    )
    yield "\n".join(f"- {code(name)}" for name in others[:MOST_FILES])
    yield "Send the submissions alone, or ask an organiser to look at the other files."


def _said(outcome: Outcome, changed: frozenset[str]) -> Iterator[str]:
    if outcome.refused:
        yield "### ❌ Refused"
        yield _reasons(outcome.refused)
    for each in outcome.submissions:
        if each.path in changed:
            yield "\n\n".join(_of(each))
    missing = sorted(changed - {each.path for each in outcome.submissions})
    if missing and not outcome.refused:
        yield "Not looked at:\n" + "\n".join(f"- {code(name)}" for name in missing)
    yield NEXT[outcome.verdict]


def _of(one: Checked) -> Iterator[str]:
    demo = " - DEMO: no clinical claim may rest on it" if one.demo else ""
    level = f", {one.level}" if one.level and one.verdict is Verdicts.VERIFIED else ""
    yield f"### {MARKS[one.verdict]}{level}: {code(one.path)}{demo}"
    if one.name:
        attempts = "" if one.attempts is None else f"; {counted(one.attempts, 'attempt')} claimed"
        yield f"{code(one.name)} on {code(one.dataset)}{attempts}"
    if one.root:
        yield f"root hash {code(one.root)}"
    if one.reasons:
        yield _reasons(one.reasons, one.further)
    if one.figures and one.verdict is Verdicts.VERIFIED:
        yield _table(one)


def _reasons(reasons: Sequence[Reason], further: int = 0) -> str:
    lines = [
        f"- {code(each.where)}: {code(each.what)}"
        + (f"; expected {code(each.expected)}" if each.expected else "")
        for each in reasons
    ]
    return "\n".join(lines + ([f"- and {further:,} more"] if further > 0 else []))


def _table(one: Checked) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def of(figures: Figures) -> list[str]:
        values = [*figures.values, *[None] * len(one.headlines)][: len(one.headlines)]
        return [
            code(figures.condition), f"{figures.n:,}", f"{figures.draws:,}", *map(percent, values)
        ]  # fmt: skip

    head = ["condition", "scored", "K", *map(code, one.headlines)]
    return "\n".join(
        [
            row(head),
            row(["---", *["---:"] * (len(head) - 1)]),
            *(row(of(each)) for each in one.figures),
        ]
    )

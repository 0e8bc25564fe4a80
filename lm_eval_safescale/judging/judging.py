"""A judge over runs: every raw text is read by a second model, once, and its verdict stored. It
runs no evaluated model.

The judge's reading takes the place of the rules'. Where the judge has none (it failed, or was
refused), the answer is not scored: neither the rules' letter nor the lack of one may pass for what
a judge has read. The rules' reading is stored beside.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.chat import ChatModel
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.chat.session import BuildProgress
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.errors import writing
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.files import replaced
from lm_eval_safescale.judging.asking import JudgeSession, about_asking
from lm_eval_safescale.reading import READER_VERSION as VERSION
from lm_eval_safescale.reading.choices import BARE
from lm_eval_safescale.reading.judge import (
    PROMPT_SHA256,
    REPLY_TOKENS,
    Verdict,
    VerdictStatus,
    bare_letter,
    judge_messages,
    letter_stands,
    read_verdict,
)
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import READER_VERSION
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import KEYS, Runs

STEPS_FILE, VERDICTS_FILE, DISAGREEMENTS_FILE = (
    "judge.steps.jsonl",
    "verdicts.parquet",
    "disagreements.jsonl",
)


class Kept(StrEnum):
    """What is not shown to the judge, besides what `VerdictStatus` says of what is."""

    BARE = "bare"
    """The output is a letter and nothing else: that letter."""
    TRUNCATED = "truncated"
    """The output stopped inside the reasoning: there is no answer in it to read. It stays
    `truncated`."""
    FILTERED = "filtered"
    """A content filter held the output back. It stays `filtered`."""
    NO_TEXT = "no_text"
    """The raw text was not stored: the reading that there was stays."""
    ERROR = "error"
    """The backend gave nothing: it stays `error`."""


JUDGED = (VerdictStatus.LETTER.value, VerdictStatus.NONE.value, Kept.BARE.value)
WITHOUT = (VerdictStatus.REFUSED.value, VerdictStatus.FAILED.value)


@dataclass(frozen=True, eq=False)
class Judged:
    """Runs as the judge reads them, and the reading before (by rules, or by whoever made the runs)
    beside."""

    runs: Runs
    """With the judge's letters; `error` where its verdict was refused or failed."""
    verdicts: pl.DataFrame
    """One row for each answer: model, condition, question_id, draw, letter_before, status_before,
    judge_letter, verdict (`VerdictStatus` or `Kept`), reason, text."""
    texts: int
    """Different texts that the judge was asked about."""
    known: int
    """Of these, known from an earlier, interrupted judging."""
    unanswered: int
    """Of these, texts to which the judge gave no reply; the others that failed had one, which held
    no verdict."""

    @property
    def disagreements(self) -> pl.DataFrame:
        """Rows where the judge reads otherwise than the runs said before, or its letter was
        refused: for hand checking."""
        differs = pl.col("verdict").is_in(JUDGED) & pl.col("judge_letter").ne_missing(
            pl.col("letter_before")
        )
        return self.verdicts.filter(differs | (pl.col("verdict") == VerdictStatus.REFUSED.value))

    @property
    def counts(self) -> dict[str, int]:
        """Answers by verdict; every kind is there, with 0 too."""
        found = Counter(self.verdicts["verdict"].to_list())
        return {kind.value: found[kind.value] for kind in (*VerdictStatus, *Kept)}

    @property
    def report(self) -> dict[str, Any]:
        """Everything counted, as JSON values."""
        without = self.verdicts.filter(pl.col("verdict").is_in(WITHOUT))
        return {
            "answers": self.verdicts.height,
            "texts_asked": self.texts,
            "texts_known": self.known,
            "texts_unheard": self.unanswered,
            **self.counts,
            "disagreements": self.disagreements.height,
            "without_verdict_by_model": provenance.counted(without, "model", "verdict"),
            "reasons": provenance.counted(without, "reason"),
        }


def judge(
    runs: Runs,
    model: ChatModel,
    steps: Path | str | None = None,
    *,
    max_tokens: int = REPLY_TOKENS,
    overwrite: bool = False,
    on_progress: Callable[[BuildProgress, int], None] = lambda _, __: None,
) -> Judged:
    """Read the raw texts of runs by a second model.

    Parameters
    ----------
    model
        The judge, asked at temperature 0. It sees a text and its item's letters; equal texts with
        equal letters are asked about once.
    steps
        A JSON lines file that keeps every reply: after an interruption the same call goes on from
        there. Replies that could not be had are asked for again.
    max_tokens
        Of a reply.
    overwrite
        Write over a file of another judge.
    on_progress
        Told how far it is within the texts at hand, and how many texts were done before these.

    Raises
    ------
    SafescaleError
        If the runs hold no raw texts; if the file is of another judge or damaged; or if the judge
        gives no reply at all.
    """
    provenance.refuse_without_texts(runs)
    rows = provenance.with_columns_of_items(runs, "letters").with_columns(
        kept_of(pl.col("status"), pl.col("text")).alias("kept")
    )
    pairs = (
        rows.filter(pl.col("kept").is_null()).select("text", "letters").unique(maintain_order=True)
    )
    verdicts, asked, known, unanswered = _verdicts(
        list(pairs.iter_rows()), model, steps, max_tokens, overwrite, on_progress
    )
    found = pairs.with_columns(
        pl.Series("verdict", [kind for kind, _ in verdicts], dtype=pl.String),
        pl.Series("judge_letter", [verdict.letter for _, verdict in verdicts], dtype=pl.String),
        pl.Series("reason", [verdict.reason for _, verdict in verdicts], dtype=pl.String),
    )
    rows = rows.join(found, on=["text", "letters"], how="left").sort("row")
    rows = rows.with_columns(pl.coalesce("kept", "verdict").alias("verdict"))
    table = rows.select(
        *KEYS,
        pl.col("response").alias("letter_before"),
        pl.col("status").alias("status_before"),
        "judge_letter",
        "verdict",
        "reason",
        "text",
    )
    by = {
        "by": ROLE,
        "judge": dict(model.about),
        READER_VERSION: VERSION,
        **about_asking(model, PROMPT_SHA256, max_tokens),
    }
    about = provenance.read_by(runs, by)
    return Judged(Runs(runs.items, judged_answers(rows), about), table, asked, known, unanswered)


def write_judged(judged: Judged, folder: Path) -> None:
    """The runs, all verdicts (`verdicts.parquet`) and the disagreements (`disagreements.jsonl`)
    into a folder."""
    with writing(folder), replaced(folder / VERDICTS_FILE) as unfinished:
        judged.verdicts.drop("text").write_parquet(unfinished)
    provenance.write_lines(judged.disagreements, folder / DISAGREEMENTS_FILE)
    steps = [STEPS_FILE] if (folder / STEPS_FILE).is_file() else []
    write_runs(judged.runs, folder, [VERDICTS_FILE, DISAGREEMENTS_FILE, *steps])


def kept_of(status: pl.Expr, text: pl.Expr) -> pl.Expr:
    """Why an answer is not shown to the judge; null where it is."""
    unanswered = (status == Status.ERROR.value) & (text.is_null() | (text == ""))
    return (
        pl.when(unanswered).then(pl.lit(Kept.ERROR.value))
        .when(status == Status.TRUNCATED.value).then(pl.lit(Kept.TRUNCATED.value))
        .when(status == Status.FILTERED.value).then(pl.lit(Kept.FILTERED.value))
        .when(text.is_null()).then(pl.lit(Kept.NO_TEXT.value))
    )  # fmt: skip


def judged_answers(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the letters, statuses and rules that verdicts make; where there is none, as they
    were before."""
    verdict, letter = pl.col("verdict"), pl.col("judge_letter")
    status = (
        pl.when(verdict.is_in(WITHOUT)).then(pl.lit(Status.ERROR.value))
        .when(~verdict.is_in(JUDGED)).then(pl.col("status"))
        .when(letter.is_null()).then(pl.lit(Status.UNANSWERED.value))
        .otherwise(pl.lit(Status.OK.value))
    )  # fmt: skip
    kept = pl.when(verdict.is_in((*JUDGED, *WITHOUT))).then(letter).otherwise(pl.col("response"))
    rule = (
        pl.when(verdict == Kept.BARE.value).then(pl.lit(BARE))
        .when(verdict.is_in(JUDGED)).then(pl.lit(ROLE))
        .when(~verdict.is_in(WITHOUT)).then(pl.col("rule"))
    )  # fmt: skip
    return rows.with_columns(kept.alias("response"), status.alias("status"), rule.alias("rule"))


# --- asking ---------------------------------------------------------------------------------------


def _verdicts(
    pairs: Sequence[tuple[str, str]],
    model: ChatModel,
    path: Path | str | None,
    max_tokens: int,
    overwrite: bool,
    on_progress: Callable[[BuildProgress, int], None],
) -> tuple[list[tuple[str, Verdict]], int, int, int]:
    """What is to be said of each text with its letters; how many the judge is to read, how many of
    these it had, how many had no reply."""
    found: dict[int, tuple[str, Verdict]] = {}
    for number, (text, letters) in enumerate(pairs):
        if (own := without_judge(text, letters)) is not None:
            found[number] = own
    left = [number for number in range(len(pairs)) if number not in found]
    steps = StepLog(
        None if path is None else Path(path),
        about_asking(model, PROMPT_SHA256, max_tokens),
        overwrite=overwrite,
    )
    try:
        asks = [ask_of(*pairs[number], max_tokens) for number in left]
        session = JudgeSession(model, steps, on_progress)
        replies = session.ask(asks)
    finally:
        steps.close()
    for number, reply in zip(left, replies, strict=True):
        verdict = read_verdict(reply, *pairs[number])
        found[number] = verdict.status.value, verdict
    unanswered = sum(reply.text is None for reply in replies)
    return [found[number] for number in range(len(pairs))], len(left), session.known, unanswered


def without_judge(text: str, letters: str) -> tuple[str, Verdict] | None:
    """What is to be said of a text that no judge is needed for, as `Kept` or `VerdictStatus` and as
    a verdict; else None."""
    if letter := bare_letter(text, letters):
        return Kept.BARE.value, Verdict(VerdictStatus.LETTER, letter)
    # any letter that a judge could name would be refused
    if not any(letter_stands(each, text) for each in letters):
        return VerdictStatus.NONE.value, Verdict(
            VerdictStatus.NONE, reason="no letter stands in the text"
        )
    return None


def ask_of(text: str, letters: str, max_tokens: int) -> Ask:
    """What the judge is asked about a text."""
    digest = hashlib.sha256(f"{letters}\0{text}".encode(errors="surrogatepass")).hexdigest()
    return Ask(digest, ROLE, ROLE, judge_messages(text, letters), max_tokens)

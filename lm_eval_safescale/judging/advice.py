"""A family's own judge (`Family.judge`) over runs: every answer that no rule can read is judged, by
a model or by the rule-based matcher, and its verdicts become the response. It knows no family.

An answer that the judge failed for is `error`, and not scored; one that says nothing needs no
judge.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.chat import ChatModel, Message, Reply
from lm_eval_safescale.chat.asks import Ask, ChatSession
from lm_eval_safescale.chat.session import BuildProgress
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.chat.waves import StepFailed, run_in_waves, together
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.families import Family
from lm_eval_safescale.families.judge import ROLE, RULE_BASED, Asking, Judge
from lm_eval_safescale.files import replaced
from lm_eval_safescale.judging.asking import TOGETHER, JudgeSession, about_asking
from lm_eval_safescale.judging.judging import (
    DISAGREEMENTS_FILE,
    STEPS_FILE,
    VERDICTS_FILE,
    Kept,
    kept_of,
)
from lm_eval_safescale.judging.rereading import items_of_runs, readable, ways_of
from lm_eval_safescale.reading import strip_reasoning
from lm_eval_safescale.records import Item, Passage, Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.judges import (
    named_as_judged,
    names_by_judge,
    renamed,
    renaming,
    with_judged_models,
)
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import KEYS, Runs

FLAGGED_FILE = "flagged.jsonl"
CORRECTIONS_FILE = "corrections.jsonl"
"""A person's verdicts, in the place of the judge's."""
FILES = (STEPS_FILE, VERDICTS_FILE, DISAGREEMENTS_FILE, FLAGGED_FILE, CORRECTIONS_FILE)
MOST_REPEATS = 100
JUDGE_FAILED = "judge failed"
"""The rule of an answer that there is no verdict on."""
OF_VERDICT = {
    "repeat": pl.Int16,
    "verdict": pl.String,
    "option": pl.Int64,
    "match": pl.String,
    "review": pl.String,
    "reason": pl.String,
    "evidence": pl.String,
}
"""Columns of `verdicts.parquet` behind `KEYS`: a row for each option, or one without an option
where there is no verdict."""
Verdict = tuple[str | None, str]
"""A response, or None and why there is none."""


class Became(StrEnum):
    """What became of an answer, besides `Kept`."""

    JUDGED = "judged"
    FAILED = "failed"
    """The judge gave no verdicts that could be used: not scored."""
    EMPTY = "empty"
    """It says nothing, or its reply says that the model refuses: no judge is needed."""


@dataclass(frozen=True, eq=False)
class JudgedAdvice:
    """Runs with the verdicts of a judge as responses."""

    runs: Runs
    answers: pl.DataFrame
    """One row for each answer: model, condition, question_id, draw, verdict (`Became` or `Kept`),
    reason, responses (of each judging; null for one that failed), text."""
    texts: int
    """Different answers to different items that were judged."""
    steps: int = 0
    """Replies of the judge that this rests on."""
    known: int = 0
    """Of these, known from an earlier, interrupted judging."""

    @property
    def judge(self) -> Judge:
        """The family's."""
        return judge_of(self.runs.family)

    @property
    def counts(self) -> dict[str, int]:
        """Answers by what became of them."""
        found = Counter(self.answers["verdict"].to_list())
        return {kind.value: found[kind.value] for kind in (*Became, *Kept)}

    @property
    def report(self) -> dict[str, Any]:
        """Everything counted, as JSON values; what is counted of verdicts, over answers as they
        stand in the runs."""
        told: Counter[str] = Counter()
        flagged = 0
        responses = Counter(self.responses())
        for response, times in responses.items():
            told.update({name: times * n for name, n in self.judge.counts(response).items()})
            flagged += times * bool(self.judge.flags(response))
        without = self.answers.filter(pl.col("verdict") == Became.FAILED.value)
        again = [each for own in self.answers["responses"].to_list() for each in (own or ())[1:]]
        return {
            "answers": self.answers.height,
            "texts": self.texts,
            "steps": self.steps,
            "steps_known": self.known,
            **self.counts,
            "flagged": flagged,
            **told,
            "repeats_failed": again.count(None),
            "without_verdict_by_model": provenance.counted(without, "model", "verdict"),
            "reasons": provenance.counted(without, "reason"),
        }

    def responses(self) -> Iterable[str]:
        """Of each answer that was judged, the response that its first judging gave."""
        for own in self.answers["responses"].to_list():
            if own and own[0] is not None:
                yield own[0]

    @property
    def verdicts(self) -> pl.DataFrame:
        """`KEYS` and `OF_VERDICT`."""
        return verdicts_of(self.answers, self.judge)


def judge_of(family: Family) -> Judge:
    """The judge of a family; SafescaleError where it has none."""
    if family.judge is None:
        raise SafescaleError(f"the family {family.name} has no judge of its own: rules read it")
    return family.judge


def judge_advice(
    runs: Runs,
    dataset: Dataset,
    model: ChatModel | None,
    steps: Path | str | None = None,
    *,
    max_tokens: int = 1024,
    repeats: int = 0,
    overwrite: bool = False,
    on_progress: Callable[[BuildProgress, int], None] = lambda _, __: None,
) -> JudgedAdvice:
    """Judge the answers of runs.

    Parameters
    ----------
    dataset
        The data set that the runs are of: a judge reads the texts of its items.
    model
        The judge, asked at temperature 0; None for the rule-based matcher. Equal answers to an item
        are judged once.
    steps, max_tokens, overwrite, on_progress
        As of `judging.judge`; progress is told of replies.
    repeats
        How often each answer is judged again, with the rubric in another order.

    Raises
    ------
    SafescaleError
        If the runs hold no raw texts, or are of other data; if the file of steps is of another
        judge or damaged; or if the judge gives no reply at all.
    """
    provenance.refuse_without_texts(runs)
    runs = named_as_judged(runs)
    judge, items = judge_of(runs.family), items_of_runs(runs, dataset)
    rows = rows_to_judge(runs)
    if model is None:
        how: dict[str, Any] = {"judge": {"name": RULE_BASED}, "repeats": 0}
        return _judged(runs, items, rows, {"by": ROLE, **how}, None)
    same = about_asking(model, judge.prompt_sha256, max_tokens)
    name = provenance.name_of_judge(model.about)
    how = {"judge": {**model.about, "name": name}, **same, "repeats": repeats}
    log = StepLog(None if steps is None else Path(steps), same, overwrite=overwrite)
    try:
        session = JudgeSession(model, log, on_progress)
        judged = _judged(runs, items, rows, {"by": ROLE, **how}, session)
    finally:
        log.close()
    return replace(judged, steps=session.asked, known=session.known)


def advice_again(
    runs: Runs, dataset: Dataset, reading: Mapping[str, Any], steps: StepLog | None
) -> JudgedAdvice:
    """Runs as the stored replies of their judge make them; nobody is asked.

    Parameters
    ----------
    runs, dataset
        As of `judge_advice`.
    reading
        What the runs say of their judging (`provenance.READING`).
    steps
        The judge's; None for the rule-based matcher. What is not among them is a failure.
    """
    session = None if steps is None else _Stored(steps)
    return _judged(runs, items_of_runs(runs, dataset), rows_to_judge(runs), reading, session)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Replies that were stored, and no others."""

    steps: StepLog

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        return [self.steps.known(ask) or Reply(None, "no reply is stored") for ask in asks]

    def room(self, role: str, messages: Sequence[Message], max_tokens: int) -> None:
        """Nobody knows."""

    def searched(self, *_: object) -> None:
        """Nothing is taken down."""

    ended = searched


def _judged(
    runs: Runs,
    items: Mapping[str, Item],
    rows: pl.DataFrame,
    reading: Mapping[str, Any],
    session: ChatSession | None,
) -> JudgedAdvice:
    """Runs as a judge leaves them: the one that answers in a session, else the rule-based
    matcher."""
    judge = judge_of(runs.family)
    repeats = int(reading.get("repeats", 0))
    if not 0 <= repeats <= MOST_REPEATS:
        raise SafescaleError(
            f"{repeats} further judgings of each answer; expected at most {MOST_REPEATS}"
        )
    pairs = list(_pairs(rows))
    verdicts: list[list[Verdict]] = (
        [[(judge.by_rules(items[question_id], text), "")] for question_id, text in pairs]
        if session is None
        else _verdicts_of(judge, items, pairs, reading, session)
    )
    answers = _with_verdicts(rows, pairs, verdicts)
    about = with_judged_models(provenance.read_by(runs, reading))
    judged = Runs(runs.items, _scored(answers, judge), about)
    columns = [*KEYS, "verdict", "reason", "responses", "text"]
    return JudgedAdvice(judged, answers.select(columns), len(pairs))


def advice_of(runs: Runs) -> JudgedAdvice:
    """Judged runs as what their judge made of them."""
    judge = judge_of(runs.family)
    rows = provenance.with_columns_of_items(runs)
    failed = (pl.col("status") == Status.ERROR.value) & (pl.col("rule") == JUDGE_FAILED)
    is_empty = pl.col("kept").is_null() & pl.col("response").is_null()
    responses = [
        None if each is None else list(judge.judgings(each)) for each in rows["response"].to_list()
    ]
    rows = rows.with_columns(
        kept_of(pl.col("status"), pl.col("text")).alias("kept"),
        pl.Series("responses", responses, dtype=pl.List(pl.String)),
    ).with_columns(
        pl.when(pl.col("response").is_not_null()).then(pl.lit(Became.JUDGED.value))
        .when(failed).then(pl.lit(Became.FAILED.value))
        .when(is_empty).then(pl.lit(Became.EMPTY.value))
        .otherwise("kept")
        .alias("verdict"),
        pl.lit("").alias("reason"),
    )  # fmt: skip
    answers = rows.select(*KEYS, "verdict", "reason", "responses", "text")
    texts = rows.filter(pl.col("response").is_not_null()).select("question_id", "text").n_unique()
    return JudgedAdvice(runs, answers, texts)


def rows_to_judge(runs: Runs) -> pl.DataFrame:
    """The answers, with what is shown of them to a judge as `shown`, null where nothing is, and
    then what becomes of them as `kept`."""
    rows = (
        provenance.with_columns_of_items(runs)
        .join(ways_of(runs, None), on=["model", "condition"], how="left")
        .sort("row")
        .with_columns(kept_of(pl.col("status"), pl.col("text")).alias("kept"))
        .with_columns(
            pl.when(pl.col("kept").is_null() & ~readable())
            .then(pl.lit(Became.EMPTY.value))
            .otherwise("kept")
            .alias("kept")
        )
    )
    shown: list[str | None] = []
    kept: list[str | None] = []
    for text, how, opened, own in rows.select("text", "how", "opened", "kept").iter_rows():
        final = None if own else strip_reasoning(text, reasoning=how, opened=bool(opened))
        is_empty = final is not None and not final.strip()
        shown.append(None if is_empty else final)
        kept.append(
            own
            or (Became.EMPTY.value if is_empty else Kept.TRUNCATED.value if final is None else None)
        )
    return rows.with_columns(
        pl.Series("shown", shown, dtype=pl.String), pl.Series("kept", kept, dtype=pl.String)
    )


def _pairs(rows: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """Each item with each different answer to it."""
    return (
        rows.filter(pl.col("shown").is_not_null())
        .select("question_id", "shown")
        .unique(maintain_order=True)
        .iter_rows()
    )


def _verdicts_of(
    judge: Judge,
    items: Mapping[str, Item],
    pairs: Sequence[tuple[str, str]],
    reading: Mapping[str, Any],
    session: ChatSession,
) -> list[list[Verdict]]:
    """What each judging of each pair of an item's id and an answer gives."""
    found: dict[int, list[Verdict]] = {}
    name, max_tokens = str(reading["judge"]["name"]), int(reading["max_tokens"])

    async def once(question_id: str, text: str, repeat: int) -> Verdict:
        asking = Asking(name, key_of(question_id, text), max_tokens, repeat)
        try:
            return await judge.judging(items[question_id], text, asking), ""
        except StepFailed as failed:
            return None, str(failed)

    for start in range(0, len(pairs), TOGETHER):

        def ended(number: int, given: Any, _: Any, start: int = start) -> None:
            found[start + number] = given

        run_in_waves(
            [
                together(*(once(*pair, repeat) for repeat in range(1 + int(reading["repeats"]))))
                for pair in pairs[start : start + TOGETHER]
            ],
            session,
            _no_search,
            ended,
        )
    return [found[number] for number in range(len(pairs))]


def key_of(question_id: str, text: str) -> str:
    """What the steps of judging an answer are stored under."""
    return hashlib.sha256(f"{question_id}\0{text}".encode(errors="surrogatepass")).hexdigest()


def _no_search(*_: object) -> list[list[Passage]]:
    raise SafescaleError("a judge may wait for replies only, not for a search")


def _with_verdicts(
    rows: pl.DataFrame, pairs: Sequence[tuple[str, str]], verdicts: Sequence[Sequence[Verdict]]
) -> pl.DataFrame:
    """Rows with verdict, reason and responses."""
    table = pl.DataFrame(
        {
            "question_id": [question_id for question_id, _ in pairs],
            "shown": [text for _, text in pairs],
            "responses": [[response for response, _ in own] for own in verdicts],
            "why": [own[0][1] for own in verdicts],
            "became": [
                (Became.FAILED if own[0][0] is None else Became.JUDGED).value for own in verdicts
            ],
        },
        schema={
            "question_id": pl.String,
            "shown": pl.String,
            "responses": pl.List(pl.String),
            "why": pl.String,
            "became": pl.String,
        },
    )
    rows = rows.join(table, on=["question_id", "shown"], how="left", maintain_order="left")
    return rows.with_columns(
        pl.coalesce("kept", "became").alias("verdict"),
        pl.col("why").fill_null("").alias("reason"),
    )


def _scored(answers: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """Answers as the verdicts make them; where none is asked for, as they were before."""
    joined: dict[tuple[str | None, ...], str | None] = {}
    for own in answers["responses"].to_list():
        if own is not None and (key := tuple(own)) not in joined:
            joined[key] = None if key[0] is None else _joined(judge, key)
    response = [None if own is None else joined[tuple(own)] for own in answers["responses"]]
    became = pl.col("verdict")
    is_asked = became.is_in([Became.JUDGED.value, Became.FAILED.value])
    is_without = became.is_in([Became.EMPTY.value, Kept.TRUNCATED.value])
    return answers.with_columns(
        pl.when(is_asked).then(pl.Series(response, dtype=pl.String))
        .when(~is_without).then(pl.col("response"))
        .alias("response"),
        pl.when(became == Became.JUDGED.value).then(pl.lit(Status.OK.value))
        .when(became == Became.FAILED.value).then(pl.lit(Status.ERROR.value))
        .when(became == Became.EMPTY.value).then(pl.lit(Status.UNANSWERED.value))
        .when(became == Kept.TRUNCATED.value).then(pl.lit(Status.TRUNCATED.value))
        .otherwise("status")
        .alias("status"),
        pl.when(became == Became.JUDGED.value).then(pl.lit(ROLE))
        .when(became == Became.FAILED.value).then(pl.lit(JUDGE_FAILED))
        .otherwise("rule")
        .alias("rule"),
    )  # fmt: skip


def _joined(judge: Judge, responses: Sequence[str | None]) -> str:
    first, *others = responses
    assert first is not None
    return judge.joined(first, others) if others else first


def named_by_judge(judged: JudgedAdvice) -> JudgedAdvice:
    """The same with models named `MODEL (judged by JUDGE)`, so that the runs of several judges can
    stand in one analysis."""
    names = names_by_judge(judged.runs)
    answers = judged.answers.with_columns(renaming(names))
    return replace(judged, runs=renamed(judged.runs, names), answers=answers)


# --- on disk --------------------------------------------------------------------------------------


def verdicts_of(answers: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """`JudgedAdvice.answers` as `KEYS` and `OF_VERDICT`."""
    lists: dict[str, list[list[Any]]] = {name: [] for name in OF_VERDICT}
    read: dict[str, list[tuple[Any, ...]]] = {}
    for verdict, reason, responses in answers.select("verdict", "reason", "responses").iter_rows():
        rows: list[tuple[Any, ...]] = []
        for repeat, response in enumerate(responses or (None,)):
            if response is None:
                kind = verdict if not repeat else Became.FAILED.value
                rows.append((repeat, kind, None, None, None, reason if not repeat else "", None))
                continue
            if response not in read:
                read[response] = [
                    (each.option, each.match, each.review, each.reason, each.evidence)
                    for each in judge.verdicts(response)
                ]
            rows += [(repeat, Became.JUDGED.value, *each) for each in read[response]]
        for name, values in zip(OF_VERDICT, zip(*rows, strict=True), strict=True):
            lists[name].append(list(values))
    columns = [pl.Series(name, lists[name], pl.List(kind)) for name, kind in OF_VERDICT.items()]
    return answers.select(KEYS).with_columns(columns).explode(list(OF_VERDICT))


def write_judged_advice(judged: JudgedAdvice, folder: Path) -> None:
    """The runs, all verdicts (`verdicts.parquet`), what the review changed (`disagreements.jsonl`)
    and answers that a person should look at (`flagged.jsonl`) into a folder."""
    verdicts = judged.verdicts
    with writing(folder), replaced(folder / VERDICTS_FILE) as unfinished:
        verdicts.write_parquet(unfinished)
    overridden = verdicts.filter(pl.col("review") == "override")
    provenance.write_lines(overridden.drop("verdict"), folder / DISAGREEMENTS_FILE)
    flags = [
        None if not own or own[0] is None else list(judged.judge.flags(own[0]))
        for own in judged.answers["responses"].to_list()
    ]
    flagged = judged.answers.select(
        *KEYS, pl.Series("flags", flags, dtype=pl.List(pl.String)), "text"
    ).filter(pl.col("flags").list.len() > 0)
    provenance.write_lines(flagged, folder / FLAGGED_FILE)
    write_runs(judged.runs, folder, [name for name in FILES if (folder / name).is_file()])

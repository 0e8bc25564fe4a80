"""What no run can have written: numbers that cannot be, draws of one item that were asked
differently, long texts that stand twice. It reads no text for what it says.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.records import ReadAs, Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import OUR_RUNNER
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.verifying.findings import Kind, Verification

IN_PROCESS = ("hf", "vllm")
"""Backends that give a text and nothing beside it: no refusal, nothing that a filter held back."""
LONG = 50
"""Tokens from which two samples are not the same by chance."""
WARM = 0.5
"""Temperature from which most long samples of an item differ."""
LONGEST_S = 30 * 86_400.0
FASTEST = 1e8
"""Tokens a second of one answer."""
SLACK = 2, 16
"""A text that is tokenised again has another number of tokens than were written: so many times as
many, and so many more, at most."""


def check_plausible(runs: Runs, found: Verification) -> None:
    """Note every answer that no run can have written, and draws that copy each other."""
    rows = provenance.with_columns_of_items(runs)
    for model, condition in runs.draws:
        own = rows.filter((pl.col("model") == model) & (pl.col("condition") == condition))
        known = {
            name: provenance.setting_of(runs, model, condition, name)
            for name in ("backend", "max_answer_tokens", "temperature")
        }
        is_ours = runs.about["models"][model].get("source") == OUR_RUNNER
        limit = known["max_answer_tokens"]
        # tokens of a team are those of several replies
        limit = limit if isinstance(limit, int) and known["backend"] != provenance.TEAM else None
        for what, odd in (
            *_odd_numbers(limit),
            *(_never_written_by_us() if is_ours else ()),
            *(_never_in_process() if known["backend"] in IN_PROCESS else ()),
        ):
            for row in own.filter(odd.fill_null(value=False)).iter_rows(named=True):
                found.damaged(provenance.place_of(row), what, Kind.IMPOSSIBLE)
        _check_items(own, f"{model}, {condition}", found)
        if is_ours:
            _check_seeds(own, f"{model}, {condition}", found)
        if known["backend"] in (*CONTROLS, provenance.TEAM):
            # one that chooses nothing says it every time; a Guardian may make one answer of many
            continue
        temperature = known["temperature"]
        _check_copies(
            own,
            f"{model}, {condition}",
            float(temperature) if isinstance(temperature, int | float) else None,
            found,
        )


def _odd_numbers(limit: int | None) -> Iterator[tuple[str, pl.Expr]]:
    for name, least, most in (
        ("prompt_tokens", 0, 1e9),
        ("completion_tokens", 0, 1e9),
        ("context_tokens", 0, 1e9),
        ("concurrency", 0, 1e9),
        ("seed", 0, 2**63),
        ("latency_s", 0, LONGEST_S),
        ("evidence_coverage", 0, 1),
        ("recall", 0, 1),
    ):
        yield f"{name} is none that can be", ~pl.col(name).is_between(least, most)
    tokens, here = pl.col("completion_tokens"), pl.col("served_model").is_null()
    yield "more tokens a second than any machine writes", tokens > FASTEST * pl.col("latency_s")
    yield "a text, and no tokens", here & (tokens == 0) & (pl.col("text") != "")
    if limit is not None:
        yield (
            f"cut off before the limit of {limit} tokens",
            here & (pl.col("read_as") == ReadAs.CUT.value) & (tokens < limit),
        )
        times, more = SLACK
        yield f"more tokens than the limit of {limit}", here & (tokens > times * limit + more)


def _never_written_by_us() -> Iterator[tuple[str, pl.Expr]]:
    status, failed = pl.col("status"), pl.col("status") == Status.ERROR.value
    yield "no text, and not failed", pl.col("text").is_null() & ~failed
    yield "an answer, and no hash of its prompt", ~failed & pl.col("prompt_sha256").is_null()
    yield (
        "failed, and yet measured",
        failed
        & pl.col("text").is_null()
        & pl.any_horizontal(
            pl.col(name).is_not_null()
            for name in ("completion_tokens", "latency_s", "finish_reason", "rule", "reply_id")
        ),
    )
    yield "a greedy answer with a seed", (pl.col("draw") == 0) & pl.col("seed").is_not_null()
    said = pl.col("read_as")
    yield "read in a way that there is not", ~said.is_in([each.value for each in ReadAs])
    by_reply = said.is_in([ReadAs.REFUSAL.value, ReadAs.REASONING.value]).fill_null(value=False)
    unread = by_reply | (status == Status.FILTERED.value)
    yield "not read, and yet by a rule", unread & pl.col("rule").is_not_null()
    cut = pl.col("finish_reason").map_elements(was_cut, return_dtype=pl.Boolean)
    yield (
        "read as cut off, which the reason of its end does not say",
        (said == ReadAs.CUT.value) & ~cut.fill_null(value=False),
    )
    for read_as, expected in (
        (ReadAs.REFUSAL, Status.UNANSWERED),
        (ReadAs.REASONING, Status.TRUNCATED),
    ):
        yield (
            f"read as {read_as.value}, which is {expected.value}",
            (said == read_as.value) & (status != expected.value),
        )


def _never_in_process() -> Iterator[tuple[str, pl.Expr]]:
    by_reply = pl.col("read_as").is_in([ReadAs.REFUSAL.value, ReadAs.REASONING.value])
    yield "said by the reply of a server, and there was none", by_reply
    yield (
        "held back by a content filter, and there is none",
        pl.col("status") == Status.FILTERED.value,
    )
    yield (
        "of the reply of a server, and there was none",
        pl.any_horizontal(
            pl.col(name).is_not_null()
            for name in ("served_model", "system_fingerprint", "reply_id")
        ),
    )


def _check_items(rows: pl.DataFrame, where: str, found: Verification) -> None:
    """Draws of one item are asked with one prompt, under seeds that follow each other."""
    one = rows.group_by("question_id", maintain_order=True).agg(
        pl.col("prompt_sha256").drop_nulls().n_unique(),
        pl.col("context_fingerprint").drop_nulls().n_unique(),
        (pl.col("seed") - pl.col("draw")).drop_nulls().n_unique().alias("seed"),
    )
    for name, what in (
        ("prompt_sha256", "its draws were asked with different prompts"),
        ("context_fingerprint", "its draws were shown different contexts"),
        ("seed", "the seeds of its draws do not follow each other"),
    ):
        for question in one.filter(pl.col(name) > 1)["question_id"]:
            found.damaged(f"{where}, item {question}", what, Kind.IMPOSSIBLE)


def _check_seeds(rows: pl.DataFrame, where: str, found: Verification) -> None:
    """All samples of a condition have a seed, or none has."""
    samples = rows.filter((pl.col("draw") > 0) & pl.col("text").is_not_null())
    if 0 < (without := samples["seed"].null_count()) < samples.height:
        what = f"{without:,} of {samples.height:,} samples are without a seed"
        found.damaged(where, what, Kind.IMPOSSIBLE)


def _check_copies(
    rows: pl.DataFrame, where: str, temperature: float | None, found: Verification
) -> None:
    """Note samples of an item with the same long text; damage where most of them copy."""
    words = pl.col("text").str.count_matches(r"\S+")
    long = rows.filter(
        (pl.col("draw") > 0) & (pl.max_horizontal("completion_tokens", words) >= LONG)
    ).filter(pl.len().over("question_id") > 1)
    copies = long.filter(~pl.struct("question_id", "text").is_first_distinct())
    if not copies.height or temperature == 0:
        return
    # of the samples that could be copies: the first of an item is none
    of = long.height - long["question_id"].n_unique()
    first = copies.row(0, named=True)
    what = (
        f"{copies.height:,} of {of:,} further samples of {LONG} tokens or more are the very text "
        f"of an earlier one of their item (temperature "
        f"{'unknown' if temperature is None else temperature}), the first of item "
        f"{first['question_id']}, draw {first['draw']}"
    )
    if 2 * copies.height > of and (temperature or 0) >= WARM:
        found.damaged(where, what, Kind.COPY)
    else:
        found.note(where, what, Kind.COPY)

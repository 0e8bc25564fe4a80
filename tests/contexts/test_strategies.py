"""Strategies in waves: what is asked together, in which order, and what becomes of a strategy and a
reply that fail.
"""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.contexts import (
    ORCHESTRATE,
    WRITE,
    Agent,
    ContextBuilder,
    Draft,
    Question,
    ReportFailed,
    Unusable,
    in_waves,
    make_contexts,
)
from lm_eval_safescale.contexts.strategies import LONGEST_TOKEN
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.radsafe import RADSAFE
from lm_eval_safescale.plugins import bind_settings
from lm_eval_safescale.records import Item, Labels

property_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


def build(write, items, tools, **values):
    return in_waves(write)(items, tools, **values)


async def asked(agent, step, prompt, **how):
    return await agent.ask(WRITE, step, prompt, **{"max_tokens": 10, "parse": str, **how})


def refuse(_):
    raise Unusable("Expected something else.")


# --- waves ----------------------------------------------------------------------------------------


async def two_sections(agent):
    async def section(letter):
        query = await asked(
            agent, f"query: {letter}", f"query {agent.question.question_id} {letter}"
        )
        await agent.search([query], 2)
        return await asked(
            agent, f"section: {letter}", f"section {agent.question.question_id} {letter}"
        )

    plan = await asked(agent, "plan", f"plan {agent.question.question_id}")
    return Draft(
        " ".join(
            [plan, *await agent.together(*(section(letter) for letter in agent.question.options))]
        )
    )


def test_each_step_of_all_sections_of_all_questions_is_one_batch(chat, at_desk, item):
    model = chat(str.upper)
    tools = at_desk(model)
    drafts = build(two_sections, [item(0), item(1), item(2)], tools)
    sections = [f"{number} {letter}" for number in ("q0", "q1", "q2") for letter in "AB"]
    assert model.batches == [
        ["plan q0", "plan q1", "plan q2"],
        [f"query {each}" for each in sections],
        [f"section {each}" for each in sections],
    ]
    assert tools.asked == [([f"QUERY {each}".upper() for each in sections], 2)]
    assert [draft.text for draft in drafts] == [
        f"PLAN Q{n} SECTION Q{n} A SECTION Q{n} B" for n in range(3)
    ]


def test_searches_of_one_depth_are_one_batch_and_each_gets_its_own_passages(chat, at_desk, item):
    async def write(agent):
        number = int(agent.question.question_id[1:])
        found = await agent.search(
            [f"{number} a", f"{number} b"][: number + 1], 1 if number < 2 else 3
        )
        return Draft(
            " | ".join(" ".join(passage.text for passage in passages) for passages in found)
        )

    tools = at_desk(chat(str))
    drafts = build(write, [item(0), item(1), item(2)], tools)
    assert tools.asked == [(["0 a", "1 a", "1 b"], 1), (["2 a", "2 b"], 3)]
    assert [draft.text for draft in drafts] == [
        "fluid",
        "fluid | bone",
        "fluid bone air | bone air fluid",
    ]
    assert [draft.notes["queries"] for draft in drafts] == [["0 a"], ["1 a", "1 b"], ["2 a", "2 b"]]


def test_a_question_that_needs_more_steps_does_not_hold_up_the_others(chat, at_desk, item):
    async def write(agent):
        number = int(agent.question.question_id[1:])
        for step in range(number + 1):
            await asked(agent, f"step {step}", f"{number} {step}")
        return Draft("x")

    model = chat(str)
    build(write, [item(0), item(1), item(2)], at_desk(model))
    assert model.batches == [["0 0", "1 0", "2 0"], ["1 1", "2 1"], ["2 2"]]


def test_searches_come_before_the_next_batch_so_that_those_who_searched_are_in_it(
    chat, at_desk, item
):
    async def write(agent):
        if agent.question.question_id == "q0":
            await agent.search(["air"], 1)
        return Draft(await asked(agent, "x", agent.question.question_id))

    model = chat(str)
    build(write, [item(0), item(1)], at_desk(model))
    assert [sorted(batch) for batch in model.batches] == [["q0", "q1"]]


def test_no_items_ask_nothing(chat, at_desk):
    model = chat(str)
    assert build(two_sections, [], at_desk(model)) == []
    assert model.batches == []


# --- together -------------------------------------------------------------------------------------


def test_parts_together_give_what_they_give_in_their_order_however_long_each_takes(
    chat, at_desk, item
):
    async def part(agent, name, steps):
        for step in range(steps):
            await asked(agent, f"{name} {step}", f"{name} {step}")
        return name

    async def nested(agent):
        return "".join(await agent.together(part(agent, "c", 1), part(agent, "d", 2)))

    async def write(agent):
        assert await agent.together() == []
        return Draft(
            " ".join(await agent.together(part(agent, "a", 3), nested(agent), part(agent, "b", 0)))
        )

    model = chat(str)
    (draft,) = build(write, [item()], at_desk(model))
    assert draft.text == "a cd b"
    assert model.batches == [["a 0", "c 0", "d 0"], ["a 1", "d 1"], ["a 2"]]


def test_where_parts_fail_the_first_failure_comes_once_all_have_ended(chat, at_desk, item):
    async def part(agent, name, steps):
        for step in range(steps):
            await asked(agent, f"{name} {step}", f"{name} {step}")
        if name != "good":
            raise ReportFailed(name)

    async def write(agent):
        try:
            await agent.together(
                part(agent, "good", 3), part(agent, "second", 2), part(agent, "third", 1)
            )
        except ReportFailed as error:
            return Draft(str(error))

    model = chat(str)
    (draft,) = build(write, [item()], at_desk(model))
    assert draft.text == "second"
    assert [len(batch) for batch in model.batches] == [3, 2, 1]


def test_a_failure_inside_nested_parts_fails_the_report(chat, at_desk, item):
    async def fail(agent):
        await asked(agent, "x", "x")
        raise ReportFailed("deep down")

    async def middle(agent):
        await agent.together(fail(agent))

    async def write(agent):
        await agent.together(middle(agent))
        return Draft("never")

    (draft,) = build(write, [item()], at_desk(chat(str)))
    assert (draft.text, draft.failed) == ("", "deep down")


# --- failures -------------------------------------------------------------------------------------


def test_a_report_that_fails_leaves_the_others_as_they_are(chat, at_desk, item):
    async def write(agent):
        if agent.question.question_id == "q1":
            raise ReportFailed("cannot be made")
        return Draft(await asked(agent, "x", agent.question.question_id))

    drafts = build(write, [item(0), item(1), item(2)], at_desk(chat(str)))
    assert [(draft.text, draft.failed) for draft in drafts] == [
        ("q0", ""),
        ("", "cannot be made"),
        ("q2", ""),
    ]


def test_a_failure_without_a_reason_is_a_failure_still(chat, at_desk, item):
    async def write(_):
        raise ReportFailed

    (draft,) = build(write, [item()], at_desk(chat(str)))
    assert draft.failed == "no reason was given"


@pytest.mark.parametrize("deep", [False, True])
def test_an_exception_of_the_strategy_ends_the_build_and_says_which_builder(
    chat, at_desk, item, deep
):
    async def bad(agent):
        await asked(agent, "x", "x")
        raise KeyError("a slip")

    async def write(agent):
        await (agent.together(bad(agent)) if deep else bad(agent))

    with pytest.raises(SafescaleError, match="context builder mine failed: KeyError: 'a slip'"):
        make_contexts(
            ContextBuilder("mine", "", in_waves(write), needs_chat=True),
            [item(0), item(1)],
            at_desk(chat(str)),
            settings={},
        )


def test_an_exception_of_one_part_ends_the_build_before_anything_more_is_asked(chat, at_desk, item):
    async def part(agent, letter):
        await asked(agent, letter, letter)
        if letter == "A":
            raise KeyError("a slip")
        await asked(agent, f"{letter} more", letter)

    async def write(agent):
        await agent.together(part(agent, "A"), part(agent, "B"))

    model = chat(str)
    with pytest.raises(KeyError):
        build(write, [item()], at_desk(model))
    assert model.batches == [["A", "B"]]


@pytest.mark.filterwarnings("error")
def test_what_was_begun_is_closed_where_the_build_ends_early(chat, at_desk, item):
    closed = []

    async def write(agent):
        try:
            await asked(agent, "x", "x")
            if agent.question.question_id == "q1":
                raise KeyError("a slip")
            await asked(agent, "y", "y")
        finally:
            closed.append(agent.question.question_id)

    with pytest.raises(KeyError):
        build(write, [item(0), item(1), item(2)], at_desk(chat(str)))
    assert sorted(closed) == ["q0", "q1", "q2"]


def test_what_is_no_draft_is_refused(chat, at_desk, item):
    async def write(_):
        return "text"

    with pytest.raises(SafescaleError, match="item q0: the strategy gave str; expected a Draft"):
        build(write, [item()], at_desk(chat(str)))


def test_a_strategy_may_wait_for_nothing_else(chat, at_desk, item):
    import asyncio

    async def write(_):
        await asyncio.sleep(0)

    with pytest.raises(SafescaleError, match="may wait for ask, search and together only"):
        build(write, [item()], at_desk(chat(str)))


def test_a_step_name_used_twice_is_refused(chat, at_desk, item):
    async def write(agent):
        await asked(agent, "same", "one")
        await asked(agent, "same", "two")

    with pytest.raises(SafescaleError, match="the step 'same' is asked twice for one question"):
        build(write, [item()], at_desk(chat(str)))


def test_a_role_that_is_none_is_refused(chat, at_desk, item):
    async def write(agent):
        await agent.ask("judge", "x", "x", max_tokens=5, parse=str)

    with pytest.raises(
        SafescaleError, match="there is no role 'judge'; expected orchestrate or write"
    ):
        build(write, [item()], at_desk(chat(str)))


# --- asking ---------------------------------------------------------------------------------------


def test_a_reply_that_cannot_be_used_is_asked_for_once_more_with_the_reason_and_its_beginning(
    chat, at_desk, item
):
    def parse(text):
        return text if text == "good" else refuse(text)

    async def write(agent):
        return Draft(await asked(agent, "x", "the task", parse=parse))

    model = chat(lambda prompt: "good" if "Your last reply" in prompt else "bad " * 99)
    (draft,) = build(write, [item()], at_desk(model))
    assert (draft.text, draft.notes["fallbacks"], draft.notes["steps"]) == ("good", {}, 2)
    first, second = model.prompts
    assert first == "the task"
    assert second.startswith(
        "the task\n\nYour last reply could not be used. Expected something else.\n"
        "It began: 'bad bad"
    )
    assert len(second) < 600


def test_after_the_second_unusable_reply_comes_the_fallback_which_is_counted_by_the_kind_of_step(
    chat, at_desk, item
):
    async def write(agent):
        values = [
            await asked(
                agent,
                f"section: {each}",
                each,
                parse=refuse,
                fallback=lambda text: f"fallback({text})",
            )
            for each in "AB"
        ]
        return Draft(" ".join(values))

    model = chat(lambda prompt: "second" if "Your last reply" in prompt else "first")
    (draft,) = build(write, [item()], at_desk(model))
    assert draft.text == "fallback(second) fallback(second)"
    assert draft.notes["fallbacks"] == {"section": 2}
    assert len(model.prompts) == 4


@pytest.mark.parametrize("fallback", [None, refuse])
def test_where_the_fallback_cannot_be_used_either_the_report_fails_and_says_the_step(
    chat, at_desk, item, fallback
):
    async def write(agent):
        await asked(agent, "section: A", "x", parse=refuse, fallback=fallback)

    (draft,) = build(write, [item()], at_desk(chat(str)))
    assert draft.failed == "section: A: Expected something else. (asked twice)"


def test_a_reply_far_longer_than_asked_for_is_not_parsed_nor_handed_to_the_fallback_nor_shown(
    chat, at_desk, item
):
    seen = []

    async def write(agent):
        return Draft(
            await asked(
                agent, "x", "x", parse=seen.append, fallback=lambda text: f"fallback({text})"
            )
        )

    model = chat(lambda _: "word " * 2_000_000)
    (draft,) = build(write, [item()], at_desk(model))
    assert (draft.text, seen) == ("fallback()", [])
    assert len(model.prompts[1]) < 300
    assert "10,000,000 characters long" in model.prompts[1]


def test_a_reply_as_long_as_its_tokens_may_be_is_parsed(chat, at_desk, item):
    async def write(agent):
        return Draft(await asked(agent, "x", "x", max_tokens=10))

    (draft,) = build(write, [item()], at_desk(chat(lambda _: "x" * LONGEST_TOKEN * 10)))
    assert len(draft.text) == LONGEST_TOKEN * 10


def test_reasoning_is_stripped_and_a_reply_that_ends_inside_it_is_unusable(chat, at_desk, item):
    async def write(agent):
        return Draft(await asked(agent, "x", "x", fallback=lambda text: f"fallback({text})"))

    (draft,) = build(write, [item()], at_desk(chat(lambda _: "<think>hm</think>text")))
    assert draft.text == "text"
    model = chat(lambda _: "<think>hm, and so on")
    (draft,) = build(write, [item()], at_desk(model))
    assert draft.text == "fallback()"
    assert "It ended inside its reasoning." in model.prompts[1]


def test_a_model_that_cannot_be_heard_fails_the_report_without_a_fallback(chat, at_desk, item):
    async def write(agent):
        await asked(agent, "x", "x", fallback=str)

    (draft,) = build(write, [item()], at_desk(chat(lambda _: None)))
    assert draft.failed == "x: no reply"


def test_an_error_of_a_parser_that_is_not_unusable_ends_the_build(chat, at_desk, item):
    async def write(agent):
        await asked(agent, "x", "x", parse=int)

    with pytest.raises(ValueError, match="invalid literal"):
        build(write, [item()], at_desk(chat(str)))


def test_notes_count_steps_and_tokens(chat, at_desk, item):
    async def write(agent):
        agent.counts["mine"] += 1
        await asked(agent, "x", "x", parse=refuse, fallback=str)
        return Draft("x", notes={"own": True})

    (draft,) = build(write, [item()], at_desk(chat(str)))
    assert draft.notes == {
        "own": True, "mine": 1, "steps": 2, "prompt_tokens": 14, "completion_tokens": 6,
        "queries": [], "fallbacks": {"x": 1},
    }  # fmt: skip


def test_where_the_backend_counts_only_some_tokens_their_sum_is_unknown_and_not_small(
    chat, at_desk, item
):
    async def write(agent):
        return Draft(await asked(agent, "x", "x") + await asked(agent, "y", "y"))

    model = chat(str)
    model.chat = lambda requests: enumerate(
        Reply("x", "", 7 if "x" in each.messages[0].content else None, 3) for each in requests
    )
    (draft,) = build(write, [item()], at_desk(model))
    assert (draft.notes["prompt_tokens"], draft.notes["completion_tokens"]) == (None, 6)


def test_fitting_keeps_the_longest_beginning_that_fits_and_counts_what_it_leaves_out(
    chat, at_desk, item
):
    async def write(agent):
        (found,) = await agent.search(["?"], 3)
        for role in (ORCHESTRATE, WRITE):
            kept = agent.fitting(
                role, lambda these: "word " * 100 * len(these), found, max_tokens=50
            )
            assert kept == found[: 2 if role == WRITE else 3]
        return Draft("x")

    tools = at_desk(chat(str), write=chat(str, window=50 + 300 + 299))
    (draft,) = build(write, [item()], tools)
    assert draft.notes["passages_left_out"] == 1


# --- what a strategy sees -------------------------------------------------------------------------


def reachable(thing, seen):
    """All that can be reached from a value by attributes, keys and elements."""
    if (
        id(thing) in seen
        or isinstance(thing, str | int | float | type | None)
        or inspect.ismodule(thing)
    ):
        return
    seen[id(thing)] = thing
    inner = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    inner += [
        getattr(thing, name, None)
        for kind in type(thing).__mro__
        for name in getattr(kind, "__slots__", ())
    ]
    inner += (
        [*thing, *thing.values()]
        if isinstance(thing, dict)
        else list(thing)
        if isinstance(thing, list | tuple | set)
        else []
    )
    for each in inner:
        reachable(each, seen)


def test_a_strategy_reaches_neither_key_nor_labels_nor_evidence(chat, at_desk, item):
    labels = dict.fromkeys(RADSAFE.schema.labels, "AB")
    secret = item(answer="B", labels=labels, evidence={"clean": "the evidence"})

    async def write(agent):
        seen = {}
        reachable(agent, seen)
        assert not any(isinstance(each, Item | Labels) for each in seen.values())
        assert "the evidence" not in repr(list(seen.values()))
        return Draft("x")

    build(write, [secret], at_desk(chat(str)))
    assert {field.name for field in dataclasses.fields(Question)} == {
        "question_id",
        "question",
        "options",
    }


def test_a_strategy_cannot_change_the_item(chat, at_desk, item):
    async def write(agent):
        agent.question.options["A"] = "Changed"
        return Draft("x")

    one = item()
    build(write, [one], at_desk(chat(str)))
    assert one.options["A"] == "Pneumothorax"


def test_the_settings_of_a_strategy_are_those_of_its_builder(chat, at_desk, item):
    async def write(agent: Agent, *, rounds: int = 2, name: str) -> Draft:
        """Writes."""
        return Draft(f"{name} {rounds}")

    made = in_waves(write)
    assert bind_settings(made, {"name": "n"}, "it") == {"rounds": 2, "name": "n"}
    with pytest.raises(SafescaleError, match=r"it has no setting agent; it takes rounds, name"):
        bind_settings(made, {"agent": 1}, "it")
    assert made([item()], at_desk(chat(str)), name="n", rounds=5)[0].text == "n 5"


# --- independence ---------------------------------------------------------------------------------


async def wandering(agent):
    """A strategy whose way hangs on the replies: parts, retries, fallbacks, failures."""

    async def part(name):
        text = await asked(
            agent,
            f"part: {name}",
            f"{agent.question.question_id} {name}",
            parse=lambda text: refuse(text) if "3" in text else text,
            fallback=str,
        )
        if text.endswith("7"):
            raise ReportFailed(text)
        if text.endswith(("1", "2")):
            await agent.search([text], int(text[-1]))
            text += await asked(agent, f"more: {name}", text)
        return text

    return Draft(" ".join(await agent.together(*(part(f"{number}") for number in range(3)))))


def digits(prompt):
    return str(sum(map(ord, prompt)) % 1000)


@property_test
@given(st.permutations(range(12)), st.integers(1, 12))
def test_a_report_hangs_neither_on_the_other_questions_nor_on_their_order(
    chat, at_desk, item, order, many
):
    alone = {
        number: build(wandering, [item(number)], at_desk(chat(digits)))[0]
        for number in order[:many]
    }
    together = build(wandering, [item(number) for number in order[:many]], at_desk(chat(digits)))
    assert together == [alone[number] for number in order[:many]]


def test_the_wandering_strategy_wanders(chat, at_desk, item):
    drafts = build(wandering, [item(number) for number in range(30)], at_desk(chat(digits)))
    assert {bool(draft.failed) for draft in drafts} == {True, False}
    assert any(draft.notes.get("queries") for draft in drafts if not draft.failed)
    assert any(draft.notes["fallbacks"] for draft in drafts if not draft.failed)
    assert all(re.search(r"\d", draft.text or draft.failed) for draft in drafts)

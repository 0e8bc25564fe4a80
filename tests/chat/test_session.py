"""The desk and its file of steps: what is asked, what is not asked twice, and what a file
survives.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.chat import Message, Reply
from lm_eval_safescale.checksums import with_checksum
from lm_eval_safescale.contexts import (
    ORCHESTRATE,
    WRITE,
    Ask,
    Draft,
    ModelSession,
    ReportFailed,
    StepLog,
    Unusable,
    in_waves,
)
from lm_eval_safescale.errors import SafescaleError

ABOUT = {"data": "d1", "settings": {"rounds": 2}, "models": ["m"]}
property_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25
)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def an_ask(number=0, *, step="step", role=WRITE, text=None, max_tokens=9):
    return Ask(f"q{number}", step, role, (Message("user", text or f"prompt {number}"),), max_tokens)


def desk_of(model, steps=None, **others):
    return ModelSession({ORCHESTRATE: model, WRITE: model, **others}, steps or StepLog(None, {}))


def opened(path, **how):
    return StepLog(path, ABOUT, **how)


def lines(path):
    """What a file says, without checksums and the header's copy."""
    header, copy, *rest = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert header == copy
    return [
        {name: value for name, value in record.items() if name != "crc32"}
        for record in (header, *rest)
    ]


# --- asking ---------------------------------------------------------------------------------------


def test_replies_come_in_the_order_of_what_was_asked(chat):
    model = chat(str.upper)
    assert [reply.text for reply in desk_of(model).ask([an_ask(2), an_ask(0), an_ask(1)])] == [
        "PROMPT 2",
        "PROMPT 0",
        "PROMPT 1",
    ]
    model.chat = lambda requests: reversed([(n, Reply(f"{n}")) for n, _ in enumerate(requests)])
    assert [reply.text for reply in desk_of(model).ask([an_ask(2), an_ask(0), an_ask(1)])] == [
        "0",
        "1",
        "2",
    ]


def test_two_roles_of_one_model_are_one_batch_and_two_models_are_two(chat):
    asks = [an_ask(0, role=ORCHESTRATE), an_ask(1, role=WRITE), an_ask(2, role=ORCHESTRATE)]
    one, other = chat(lambda _: "one"), chat(lambda _: "other")
    desk_of(one).ask(asks)
    assert one.batches == [["prompt 0", "prompt 1", "prompt 2"]]
    one.batches.clear()
    replies = desk_of(one, **{WRITE: other}).ask(asks)
    assert (one.batches, other.batches) == ([["prompt 0", "prompt 2"]], [["prompt 1"]])
    assert [reply.text for reply in replies] == ["one", "other", "one"]


def test_a_request_that_failed_is_sent_once_more_and_no_more(chat):
    tries = []

    def say(prompt):
        tries.append(prompt)
        return (
            None
            if prompt == "prompt 1" or (prompt == "prompt 2" and tries.count(prompt) == 1)
            else "good"
        )

    model = chat(say)
    replies = desk_of(model).ask([an_ask(0), an_ask(1), an_ask(2)])
    assert [reply.text for reply in replies] == ["good", None, "good"]
    assert model.batches == [["prompt 0", "prompt 1", "prompt 2"], ["prompt 1", "prompt 2"]]


def test_a_prompt_that_is_too_long_for_the_window_is_not_sent(chat):
    model = chat(str, window=20)
    fits, long = an_ask(0, text="word " * 11), an_ask(1, text="word " * 12)
    replies = desk_of(model).ask([fits, long])
    assert replies[0].text is not None
    assert replies[1].text is None
    assert (
        "1 tokens longer than the model's window of 20; give the model a larger window, or show it "
        "less"
    ) in replies[1].error
    assert model.prompts == ["word " * 11]


def test_without_a_window_nothing_is_too_long(chat):
    assert desk_of(chat(str)).room(WRITE, (Message("user", "word " * 9999),), 10) is None
    assert desk_of(chat(str, window=50)).room(WRITE, (Message("user", "word " * 10),), 10) == 30


def test_a_model_that_keeps_a_reply_back_is_refused_and_named_what_lacks(chat):
    with pytest.raises(
        SafescaleError, match="the model gave 2 replies too few, the first to q1, step"
    ):
        desk_of(chat(str, lose=lambda prompt: prompt != "prompt 0")).ask(
            [an_ask(0), an_ask(1), an_ask(2)]
        )


def test_nothing_to_ask_asks_nothing(chat):
    model = chat(str)
    assert desk_of(model).ask([]) == []
    assert model.batches == []


def test_progress_counts_every_step_of_a_wave_once_and_never_beyond(chat, tmp_path):
    seen = []
    steps = opened(tmp_path / "s.jsonl")
    desk_of(chat(str), steps).ask([an_ask(0)])
    model = chat(lambda prompt: None if prompt == "prompt 1" else "x", window=50)
    desk = ModelSession({ORCHESTRATE: model, WRITE: model}, steps, seen.append)
    desk.ask([an_ask(0), an_ask(1), an_ask(2), an_ask(3, text="word " * 90)])
    desk.ended("q0", "")
    assert [(each.asked, each.of) for each in seen if each.asked > each.of] == []
    last = seen[-1]
    assert (last.wave, last.asked, last.of, last.known, last.replied, last.made, last.failed) == (
        1,
        4,
        4,
        1,
        3,
        1,
        0,
    )


# --- the file -------------------------------------------------------------------------------------


def test_nothing_that_was_heard_is_asked_again(chat, tmp_path):
    path, model = tmp_path / "deep" / "s.jsonl", chat(lambda prompt: prompt + " ?")
    first = opened(path)
    replies = desk_of(model, first).ask([an_ask(0), an_ask(1)])
    first.close()
    again = opened(path)
    assert desk_of(model, again).ask([an_ask(0), an_ask(1), an_ask(2)])[:2] == replies
    assert model.batches == [["prompt 0", "prompt 1"], ["prompt 2"]]


@pytest.mark.parametrize("changed", [{"text": "another"}, {"max_tokens": 10}, {"step": "other"}])
def test_another_prompt_limit_or_step_is_asked(chat, tmp_path, changed):
    steps, model = opened(tmp_path / "s.jsonl"), chat(str)
    desk_of(model, steps).ask([an_ask(0)])
    desk_of(model, steps).ask([an_ask(0, **changed)])
    assert len(model.batches) == 2


def test_what_could_not_be_heard_is_asked_again_by_the_next_build(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    desk_of(chat(lambda _: None), steps).ask([an_ask(0)])
    steps.close()
    model = chat(str)
    assert desk_of(model, opened(path)).ask([an_ask(0)])[0].text == "prompt 0"
    assert [record.get("error") for record in lines(path)[1:]] == ["no reply", "no reply", None]


def test_a_line_says_what_was_asked_and_heard(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    desk = desk_of(chat(str), opened(path))
    desk.ask([an_ask(0)])
    desk.searched("q0", ["air"], [[]])
    desk.ended("q0", "why")
    header, step, search, end = lines(path)
    assert header == {"safescale_steps": 2, **ABOUT}
    assert step == {
        "question_id": "q0", "step": "step", "role": "write", "wave": 1,
        "prompt_sha256": an_ask(0).prompt_sha256, "prompt_tokens": 7, "completion_tokens": 3,
        "seconds": 0.5, "text": "prompt 0",
    }  # fmt: skip
    assert search == {"question_id": "q0", "queries": ["air"], "passages": [[]]}
    assert end == {"question_id": "q0", "report": "failed", "failed": "why"}


def test_searches_and_ends_are_taken_down_once_over_several_builds(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    for _ in range(3):
        steps = opened(path)
        desk = desk_of(chat(str), steps)
        desk.searched("q0", ["air", "flüssig\u2028\ud800"], [[], []])
        desk.ended("q0", "")
        steps.close()
    assert len(lines(path)) == 3


def test_a_build_s_file_is_refused_for_another_build_and_says_what_differs(tmp_path):
    path = tmp_path / "s.jsonl"
    opened(path).close()
    before = path.read_bytes()
    with pytest.raises(
        SafescaleError,
        match=(
            r"that were taken otherwise \(data, settings, new differ\); choose another name, or "
            r"write over"
        ),
    ) as refused:
        StepLog(path, {"data": "d2", "settings": {}, "models": ["m"], "new": 1})
    assert path.read_bytes() == before
    opened(path).close()  # and it is not held, even while the error is
    assert refused.value


def test_anew_writes_another_build_s_file_over_and_keeps_this_build_s(chat, tmp_path):
    path, model = tmp_path / "s.jsonl", chat(str)
    steps = opened(path)
    desk_of(model, steps).ask([an_ask(0)])
    steps.close()
    steps = opened(path, overwrite=True)
    desk_of(model, steps).ask([an_ask(0)])
    steps.close()
    assert len(model.batches) == 1
    StepLog(path, {"data": "d2"}, overwrite=True).close()
    assert lines(path) == [{"safescale_steps": 2, "data": "d2"}]


@pytest.mark.parametrize(
    "content",
    [
        b"precious notes",
        b"precious\nnotes\n",
        b'{"safescale_contexts": 1}\n',
        b"[]\n",
        b"\xff\xfe\n",
        b"\n",
    ],
)
def test_a_file_that_holds_no_steps_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(
        SafescaleError, match="choose another name, or write over it with force=True"
    ):
        opened(path)
    assert path.read_bytes() == content


STEP = {
    "question_id": "q0",
    "step": "x",
    "prompt_sha256": "0",
    "prompt_tokens": 1,
    "completion_tokens": None,
    "seconds": 1,
    "text": "",
}
DAMAGED = [
    json.dumps({**STEP, name: value}).encode() + b"\n"
    for name, value in {
        "question_id": ["q0"], "step": None, "prompt_sha256": 1, "text": 5, "prompt_tokens": "9",
        "completion_tokens": -1, "seconds": "x",
    }.items()
]  # fmt: skip
"""Steps that an editor spoilt: each once, of another type than it was written."""


@pytest.mark.parametrize(
    "damage", [b"{half\n", b"[1]\n", b"\x00\xff\n", b'{"step": "x"}\n', b'"text"\n', *DAMAGED]
)
@pytest.mark.parametrize("bears", [False, True])
def test_a_damaged_line_does_not_count_and_costs_no_other(chat, tmp_path, damage, bears):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    desk_of(chat(str), steps).ask([an_ask(0), an_ask(1)])
    steps.close()
    *header, first, second = path.read_bytes().splitlines(keepends=True)
    line = with_checksum(damage[:-1]) + b"\n" if bears else damage
    path.write_bytes(b"".join([*header, first, line, second]))
    for _ in range(2):
        again = opened(path)
        assert again.damaged == 1
        model = chat(str)
        desk_of(model, again).ask([an_ask(0), an_ask(1)])
        assert model.prompts == []
        again.close()
    path.write_bytes(b"".join([*header, line, second]))
    model = chat(str)
    desk_of(model, opened(path)).ask([an_ask(0), an_ask(1)])
    assert model.prompts == ["prompt 0"]


def test_each_flipped_bit_of_a_step_is_found_and_its_step_alone_is_asked_again(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    desk_of(chat(str), steps).ask([an_ask(0), an_ask(1), an_ask(2)])
    steps.close()
    content = path.read_bytes()
    start = content.index(b'{"question_id": "q1"')
    end = content.index(b"\n", start)
    for bit in range(start * 8, end * 8, 11):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        again, model = opened(path), chat(str)
        assert again.damaged >= 1
        assert [
            reply.text for reply in desk_of(model, again).ask([an_ask(0), an_ask(1), an_ask(2)])
        ] == [f"prompt {n}" for n in range(3)]
        assert model.prompts == ["prompt 1"]
        again.close()


@pytest.mark.parametrize("copy", [0, 1])
def test_a_damaged_header_costs_nothing_for_it_stands_twice(chat, tmp_path, copy):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    desk_of(chat(str), steps).ask([an_ask(0)])
    steps.close()
    content = path.read_bytes()
    length = content.index(b"\n") + 1
    for bit in range(copy * length * 8, (copy + 1) * length * 8 - 8, 5):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        again, model = opened(path), chat(str)
        desk_of(model, again).ask([an_ask(0)])
        again.close()
        assert model.prompts == []
        with pytest.raises(SafescaleError, match=r"data differ"):
            StepLog(path, ABOUT | {"data": "d2"})


def test_a_file_that_is_moved_away_under_a_build_is_missed_with_the_next_wave(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    desk = desk_of(chat(str), steps)
    desk.ask([an_ask(0)])
    path.rename(tmp_path / "elsewhere.jsonl")
    with pytest.raises(
        SafescaleError,
        match="was renamed or removed while it was written to; put it back, and the same command",
    ):
        desk.ask([an_ask(1)])


def test_why_a_reply_ended_is_known_again(tmp_path):
    """An empty one that reasoning used up is asked about otherwise than one that is just empty."""
    used_up = Reply("", "", 9, 20, 0.5, "length", reasons=True)
    path = tmp_path / "steps.jsonl"
    steps = opened(path)
    steps.replied(an_ask(0), used_up, 1)
    steps.close()
    assert opened(path).known(an_ask(0)) == used_up
    assert used_up.ran_out


def test_numbers_that_cannot_be_are_not_taken_down(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    steps.replied(an_ask(0), Reply("text", "", -3, 2.5, 0.1), 1)
    steps.close()
    assert opened(path).known(an_ask(0)) == Reply("text", "", None, None, 0.1)


def test_a_file_in_use_is_refused_to_others_until_it_is_closed(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    with pytest.raises(SafescaleError, match="is in use: another process writes to it"):
        opened(path)
    code = (
        "from lm_eval_safescale.contexts import StepLog; from pathlib import Path; "
        f"StepLog(Path({str(path)!r}), {ABOUT!r})"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert "is in use" in other.stderr
    steps.close()
    opened(path).close()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SafescaleError, match="cannot be written"):
        opened(tmp_path / "file" / "s.jsonl")
    with pytest.raises(SafescaleError, match="cannot be written"):
        opened(tmp_path)


@pytest.mark.parametrize("room", [0, 1, 100, 300, 301, 302, 400, 550])
def test_a_full_disk_is_said_and_the_same_build_goes_on_when_there_is_room(
    chat, tmp_path, monkeypatch, room
):
    path, model, left, write = tmp_path / "s.jsonl", chat(str), [room], os.write

    def limited(file, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, bytes(data)[: left[0]])
        left[0] -= written
        return written

    steps = opened(path)
    with monkeypatch.context() as full:
        full.setattr(os, "write", limited)
        with pytest.raises(
            SafescaleError,
            match=(
                r"cannot be written \(No space left on device\); what was written before stays. "
                r"Make room, and the"
            ),
        ):
            desk_of(model, steps).ask([an_ask(number) for number in range(9)])
    steps.close()
    written = path.read_bytes().count(b"\n") - 2
    again = chat(str)
    replies = desk_of(again, opened(path)).ask([an_ask(number) for number in range(9)])
    assert [reply.text for reply in replies] == [f"prompt {number}" for number in range(9)]
    assert again.prompts == [f"prompt {number}" for number in range(written, 9)]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "a\r\nb", "\u2028\u2029\x85", "\0", '"\\', "氣胸 🫁", "\ud83e\udec1",
        "x" * 200_000, "</s><|im_end|>", "\x1b[31m", "{}", "null",
    ],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_unusual_text_comes_back_from_the_file_as_it_was_heard(chat, tmp_path, text):
    path = tmp_path / "s.jsonl"
    steps = opened(path)
    (heard,) = desk_of(chat(lambda _: text), steps).ask([an_ask(0)])
    steps.close()
    model = chat(str)
    assert desk_of(model, opened(path)).ask([an_ask(0)]) == [heard]
    assert model.batches == []
    assert heard.text == text.encode("utf-16", "surrogatepass").decode("utf-16")


def test_half_a_surrogate_pair_is_replaced_so_that_files_and_prompts_can_hold_the_text(
    chat, tmp_path
):
    (reply,) = desk_of(chat(lambda _: "a\ud800b\udfff"), opened(tmp_path / "s.jsonl")).ask(
        [an_ask(0)]
    )
    assert reply.text == "a\ufffdb\ufffd"


# --- batches --------------------------------------------------------------------------------------


def known_before(path, chat, numbers):
    steps = opened(path)
    desk_of(chat(lambda prompt: f"heard {prompt}"), steps).ask(
        [an_ask(number) for number in numbers]
    )
    steps.close()


def test_a_batch_of_which_a_reply_is_missing_is_asked_again_whole(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    known_before(path, chat, [0, 1, 2, 3, 4, 5, 7, 8, 9])
    model = chat(lambda prompt: f"now {prompt}", batch=4)
    replies = desk_of(model, opened(path)).ask([an_ask(number) for number in range(10)])
    assert model.batches == [["prompt 4", "prompt 5", "prompt 6", "prompt 7"]]
    assert [reply.text.split()[0] for reply in replies] == ["heard"] * 4 + ["now"] * 4 + [
        "heard"
    ] * 2


def test_where_each_stands_for_itself_only_the_missing_ones_are_asked(chat, tmp_path):
    path = tmp_path / "s.jsonl"
    known_before(path, chat, [0, 1, 3, 5])
    model = chat(str)
    desk_of(model, opened(path)).ask([an_ask(number) for number in range(7)])
    assert model.batches == [["prompt 2", "prompt 4", "prompt 6"]]


# --- interruptions --------------------------------------------------------------------------------


async def strategy(agent):
    """Waves, retries, fallbacks, searches and failures, as the replies have it."""

    def parse(text):
        if text.endswith("3"):
            raise Unusable("No number may end in 3.")
        return text

    async def part(letter):
        text = await agent.ask(
            WRITE,
            f"part: {letter}",
            f"{agent.question.question_id} {letter}",
            max_tokens=9,
            parse=parse,
            fallback=str,
        )
        await agent.search([text], 2)
        if text.endswith("8"):
            raise ReportFailed("ends in 8")
        return await agent.ask(
            ORCHESTRATE, f"more: {letter}", text, max_tokens=9, parse=parse, fallback=str
        )

    return Draft(" ".join(await agent.together(*map(part, agent.question.options))))


def digits(prompt):
    return str(sum(map(ord, prompt)) % 1000)


def run(chat, bench, items, path=None, *, replies=None, batch=1):
    """Drafts and the model; or None where the build was killed after so many replies."""
    said = []

    def say(prompt):
        if len(said) == replies:
            raise Killed
        said.append(prompt)
        return digits(prompt)

    model, steps = chat(say, batch=batch), StepLog(path, ABOUT)
    tools = bench(["air", "fluid", "bone"])
    tools.session = desk_of(model, steps)
    try:
        return in_waves(strategy)(items, tools), said
    except Killed:
        return None, said
    finally:
        steps.close()


@property_test
@given(st.lists(st.integers(0, 15), max_size=4), st.integers(1, 5))
def test_a_build_interrupted_after_any_replies_gives_the_same_and_asks_for_each_once(
    chat, bench, item, tmp_path_factory, kills, many
):
    items = [item(number) for number in range(many)]
    undisturbed, prompts = run(chat, bench, items)
    path = tmp_path_factory.mktemp("kills") / "s.jsonl"
    asked = []
    for replies in [*kills, None]:
        drafts, said = run(chat, bench, items, path, replies=replies)
        asked += said
        if drafts is not None:
            break
    assert drafts == undisturbed
    assert sorted(asked) == sorted(prompts)


@property_test
@given(st.lists(st.integers(0, 20), max_size=3), st.integers(1, 4), st.integers(2, 5))
def test_a_build_in_batches_interrupted_after_any_replies_gives_the_same(
    chat, bench, item, tmp_path_factory, kills, many, batch
):
    items = [item(number) for number in range(many)]
    undisturbed, _ = run(chat, bench, items, batch=batch)
    path = tmp_path_factory.mktemp("kills") / "s.jsonl"
    for replies in kills:
        run(chat, bench, items, path, replies=replies, batch=batch)
    drafts, _ = run(chat, bench, items, path, batch=batch)
    assert drafts == undisturbed


def test_a_file_torn_at_any_byte_gives_the_same_final_state(
    chat, bench, item, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of them
    items = [item(0), item(1)]
    whole = tmp_path / "whole.jsonl"
    undisturbed, prompts = run(chat, bench, items, whole)
    content = whole.read_bytes()
    state = {
        (record.get("question_id"), record.get("step"), record.get("text"))
        for record in lines(whole)
    }
    torn = tmp_path / "torn.jsonl"
    for length in range(len(content) + 1):
        torn.write_bytes(content[:length])
        drafts, said = run(chat, bench, items, torn)
        kept = sum(b'"step"' in line for line in content[:length].split(b"\n")[:-1])
        assert drafts == undisturbed, length
        assert len(said) == len(prompts) - kept, length
        records = lines(torn)
        assert {
            (record.get("question_id"), record.get("step"), record.get("text"))
            for record in records
        } == state, length
        assert len(records) == len(lines(whole)), length


def test_without_a_path_steps_are_known_to_this_process_alone(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, steps = chat(str), StepLog(None, {})
    desk_of(model, steps).ask([an_ask(0)])
    desk_of(model, steps).ask([an_ask(0)])
    steps.close()
    assert len(model.batches) == 1
    assert list(Path.cwd().iterdir()) == []

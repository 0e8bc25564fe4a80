"""What tests of the runner share: a stub backend that notes what it is asked, and a process that
dies at a given instant of its writing.

`python tests/running/asking.py run ...` is `safescale run ...` with the stub registered. No
language model.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import MODEL_REGISTRY, register_model

from lm_eval_safescale.harness import engines
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs import journal
from lm_eval_safescale.runs.held import FirstDraws
from lm_eval_safescale.runs.lines import Line, read_shard, shards_of
from lm_eval_safescale.runs.replay import Replay

STUB, FAULTS = "safescale-stub", "STUB"
OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
TEXTS = (
    "A",
    "B",
    "C",
    "D",
    "Answer: B",
    "(C)",
    "I cannot say.",
    "A or B",
    "\ud83d half a character",
    "C\x00",
)
seed_now = [0]
"""What the engine seeded last: the stub's generator."""
seeded = SimpleNamespace(
    modules={"torch": SimpleNamespace(manual_seed=lambda seed: seed_now.__setitem__(0, seed))}
)
"""Stands for `sys` in the engine, so that it seeds the stub as it seeds torch."""
_write, _open = os.write, os.open


class Stub(LM):
    """Each text depends on the prompt and, for samples, on the seed of the draw.

    The variable STUB holds, as JSON, what is no part of the model:
    - log: a file that takes a line for each answer asked for, prompt and seed;
    - hangs_at: the call (from 1) that never ends; silent: prompts with this text get no answer;
    - fails_at: the call (from 1) that raises, with `says`; loses: answers that a call drops from
      its end.
    """

    tokenizer_name = "stub"

    def __init__(
        self,
        max_length: int | None = None,
        batch_size: Any = 1,
        template: str = "<{role}>",
        pretrained: str = "",
        revision: str = "",
        dtype: str = "",
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.9,
        device: str = "",
        base_url: str = "",
        auth_token: str = "",
    ) -> None:
        super().__init__()
        faults = json.loads(os.environ.get(FAULTS, "{}"))
        self.log, self.hangs_at, self.silent = (
            faults.get("log"),
            faults.get("hangs_at", 0),
            faults.get("silent"),
        )
        self.fails_at, self.says = (
            faults.get("fails_at", 0),
            faults.get("says", "CUDA out of memory"),
        )
        self.loses, self.calls = faults.get("loses", 0), 0
        self.template, self.batch_size = template, batch_size
        if max_length is not None:
            self.max_length = max_length

    def tok_encode(self, text: str) -> list[str]:
        return text.split()

    def apply_chat_template(
        self, chat_history: list[dict], add_generation_prompt: bool = True
    ) -> str:
        return "".join(
            self.template.format(role=turn["role"]) + turn["content"] for turn in chat_history
        )

    def chat_template(self, chat_template: bool | str = False) -> str:
        return self.template

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str | None]:
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt if self.says == "interrupt" else RuntimeError(self.says)
        seen: Counter[str] = Counter()
        texts = []
        for request in requests:
            prompt, generation = request.args
            draw = f"seed {seed_now[0] + seen[prompt]}" if generation["do_sample"] else "greedy"
            seen[prompt] += 1
            self._note(f"{hashlib.sha256(prompt.encode()).hexdigest()[:12]} {draw}")
            texts.append(None if self.silent and self.silent in prompt else text_of(prompt, draw))
        instant("ask")
        if self.calls == self.hangs_at:
            signal.pause()
        return texts[: len(texts) - self.loses] if self.loses else texts

    def _note(self, asked: str) -> None:
        if self.log:
            file = _open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            _write(file, f"{asked}\n".encode())
            os.close(file)

    def loglikelihood(self, requests: list) -> list:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


if STUB not in MODEL_REGISTRY:
    register_model(STUB)(Stub)


def text_of(prompt: str, draw: str) -> str:
    return TEXTS[
        int.from_bytes(hashlib.sha256(f"{prompt}|{draw}".encode()).digest()[:4]) % len(TEXTS)
    ]


def write_questions(path: Path, n: int, *, labelled: bool = True) -> Path:
    flags = {
        letter: {"high_risk": int(letter == "A"), "unsafe": int(letter in "AD"), "contradicts": 0}
        for letter in OPTIONS
    }
    items = [
        {
            "question_id": f"q{number}",
            "question": f"What does image {number} show?",
            "options": OPTIONS,
            "answer": "C",
            "evidence_clean": f"Image {number} shows an embolus.",
            "evidence_conflict": f"Image {number} may show an embolus.",
            **({"labels": flags} if labelled else {}),
        }
        for number in range(n)
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def ask(
    folder: Path, *, conditions: Any = ("closed_book", "clean"), batch_size: Any = 4, **given: Any
) -> runner.Report:
    """A run on the stub; `args` are its arguments, `faults` what else it does, `metadata` the
    settings."""
    os.environ[FAULTS] = json.dumps({"log": f"{folder}.log", **given.pop("faults", {})})
    args, name, device = given.pop("args", {}), given.pop("name", "stub"), given.pop("device", None)
    model = runner.Model(given.pop("backend", STUB), args, str(batch_size), device, name)
    return runner.run(model, folder, conditions, **given)


def asked_of(folder: Path) -> Counter[str]:
    """How often each answer was asked of the stub for that folder, by all processes."""
    log = Path(str(folder) + ".log")
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def read_lines(folder: Path) -> tuple[list[Line], int]:
    """All whole lines, in the order in which they were written, each draw once; and how many are
    damaged. Read back piece by piece they are the same."""
    first, shards = FirstDraws(), [read_shard(path) for path in shards_of(folder)]
    read = [line for shard in shards for line in shard.lines if first.of(line)]
    lines, damaged = (
        [line for line in read if line.draws or line.failed],
        sum(len(shard.damaged) for shard in shards),
    )
    places: dict[tuple[str, str], int] = {}
    replay = Replay(folder)
    pieces = replay.pieces(
        lambda line: places.setdefault((line.condition, line.question_id), len(places))
    )
    assert [line for piece in pieces for line in piece] == sorted(
        lines, key=lambda line: places[line.condition, line.question_id]
    )
    assert (len(replay.held), replay.damaged) == (sum(len(line.draws) for line in lines), damaged)
    return lines, damaged


def answers_of(folder: Path) -> dict[tuple[str, str, int], str]:
    """What the store holds, finished or not."""
    return {
        (line.condition, line.question_id, draw.draw): draw.text
        for line in read_lines(folder)[0]
        for draw in line.draws
    }


# --- dying ----------------------------------------------------------------------------------------

_instants: list[str] = []
_dies_at = [0]


def instant(what: str) -> None:
    """One of the instants at which the process can die."""
    _instants.append(what)
    if len(_instants) == _dies_at[0]:
        os.kill(os.getpid(), signal.SIGKILL)


def watch_writing(at: int) -> list[str]:
    """Die at the so-many-th instant (0: never): before and after each call by which the store
    writes, and in the middle of a write."""
    _instants.clear()
    _dies_at[0] = at

    def watched(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            instant(f"before {name}")
            made = real(*args, **options)
            instant(f"after {name}")
            return made

        setattr(owner, name, call)

    for owner, names in ((os, ("fsync", "open")), (Path, ("replace", "mkdir", "unlink"))):
        for name in names:
            watched(owner, name)

    def write(file: int, data: Any) -> int:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return _write(file, data)
        instant("before write")
        written = _write(file, data[: len(data) // 2])
        instant("in write")
        written += _write(file, data[written:])
        instant("after write")
        return written

    os.write = write
    return _instants


def ask_and_die(at: int, folder: Path, given: dict[str, Any]) -> None:
    """In a process of its own."""
    engines.sys = seeded  # type: ignore[attr-defined]
    journal.SYNC_SECONDS = 0.0
    watched = watch_writing(at)
    ask(folder, **given)
    Path(str(folder) + ".instants").write_text("\n".join(watched))


if __name__ == "__main__":
    from lm_eval_safescale.cli import main

    engines.sys = seeded  # type: ignore[attr-defined]
    sys.argv[0] = "safescale"
    main()

"""What tests of sweeps share: a stub of a harness backend, as an installed plugin of ours that any
process of a sweep finds.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import yaml

from lm_eval_safescale.runs.store import open_runs

ROOT = Path(__file__).resolve().parent.parent
STUB = '''"""A stub of a backend: letters from a hash. It counts loads, and dies or fails where it \
is told to.

No language model."""

import hashlib
import os
import signal
from pathlib import Path

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


@register_model("sweep-stub")
class SweepStub(LM):
    def __init__(self, pretrained, folder, dies_after=0, fails=False, waits=False, **_):
        super().__init__()
        self.folder, self.name = Path(folder), pretrained
        self.dies_after, self.fails, self.waits = dies_after, fails, waits
        self.batch_size = 2
        self.asked = 0
        self._mark("loads")
        if fails == "loading":
            raise RuntimeError("CUDA error: no such luck")

    def _mark(self, what):
        with (self.folder / f"{self.name}.{what}").open("a") as file:
            file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")

    def generate_until(self, requests, disable_tqdm=False):
        outputs = []
        for number, request in enumerate(requests):
            prompt, arguments = request.args
            deaths = self.folder / f"{self.name}.deaths"
            if self.dies_after and self.asked >= self.dies_after and not deaths.exists():
                self._mark("deaths")
                os.kill(os.getpid(), signal.SIGKILL)
            pipe = self.folder / f"{self.name}.pipe"
            if self.waits and self.asked >= self.waits and pipe.exists():
                pipe.write_text(f"{os.getpid()}\\n")
                signal.pause()
            if self.fails == "asking":
                raise RuntimeError("out of memory")
            self.asked += 1
            draw = number if arguments.get("do_sample") else -1
            drawn = hashlib.sha256(f"{self.name}|{prompt}|{draw}".encode()).digest()[0]
            outputs.append("ABCD"[drawn % 4])
        self._mark("calls")
        return outputs

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood
'''


def install_stub(folder: Path) -> None:
    """Lay the stub out as an installed package: on the module path, every process of a sweep finds
    it."""
    about = folder / "sweep_stub-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sweep-stub\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[lm_eval_safescale]\nsweep-stub = sweep_stub\n")
    (folder / "sweep_stub.py").write_text(STUB)


def stub_environment(folder: Path) -> dict[str, str]:
    """Variables by which child processes find this checkout and the stub, and see no GPU
    question."""
    install_stub(folder)
    path = os.pathsep.join(filter(None, [str(folder), str(ROOT), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def write_sweep(path: Path, models: list[dict], **over: object) -> Path:
    """A sweep's file of stub models on the demo questions: 3 answers to each of 4 items under 2
    conditions, unless told otherwise."""
    content = {
        "output": str(path.parent / "out"),
        "metadata": {"dataset": "demo", "draws": 2},
        "conditions": ["closed_book", "clean"],
        "defaults": {
            "backend": "sweep-stub",
            "gpus": 0,
            "model_args": {"folder": str(path.parent)},
        },
        "models": models,
    }
    path.write_text(yaml.safe_dump(content | over), encoding="utf-8")
    return path


def answers_of(folder: Path) -> pl.DataFrame:
    """The answers that a sweep left, sorted; each (condition, item, draw) once."""
    answers = open_runs(folder).answers
    keys = ["condition", "question_id", "draw"]
    assert answers.select(keys).is_unique().all()
    return answers.with_columns(pl.col("condition").cast(pl.String)).sort(keys)


def lines_of(path: Path) -> list[str]:
    """What the stub noted; nothing where it noted nothing."""
    return path.read_text().splitlines() if path.exists() else []

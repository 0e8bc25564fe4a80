"""Settings of all tests, and the small real model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.stub_server import server, waits  # noqa: F401 (fixtures)

ROOT = Path(__file__).resolve().parent.parent
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

# times are benchmarks, not tests
settings.register_profile("project", deadline=None, max_examples=40)
settings.register_profile(
    "ci", settings.get_profile("project"), derandomize=True, database=None
)  # the same cases for the same code
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


@pytest.fixture(scope="session")
def small_model_gguf() -> Path:
    """The file of the small model; tests that need it are skipped where it is not."""
    file = Path(os.environ.get("SMALL_MODEL_DIR", "none")).resolve() / GGUF
    if not file.exists():
        pytest.skip(
            "SMALL_MODEL_DIR does not hold the small model; scripts/small-model.sh DIR puts it "
            "there"
        )
    return file


@pytest.fixture(scope="session")
def small_model(small_model_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small model as float32, which loads ten times as fast as the GGUF file."""
    folder = small_model_gguf.parent
    if not (folder / "hf" / "model.safetensors").exists():
        folder = tmp_path_factory.mktemp("model")
        (folder / GGUF).symlink_to(small_model_gguf)
        subprocess.run(
            ["bash", ROOT / "scripts" / "small-model.sh", folder, sys.executable], check=True
        )
    return folder / "hf"

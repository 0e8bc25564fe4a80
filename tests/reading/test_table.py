"""What each of many real-looking outputs must read as; `outputs.yaml` is the table of truth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from lm_eval_safescale.reading import read_answer

OPTIONS = {"A": "Pneumothorax", "B": "Pleural effusion", "C": "Pulmonary embolism", "D": "Lobar pneumonia"}
OUTPUTS = yaml.safe_load((Path(__file__).parent / "outputs.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output["id"])
def test_an_output_reads_as_the_table_says(output):
    reading = read_answer(
        output["text"],
        output.get("options", OPTIONS),
        reasoning=output.get("reasoning", "auto"),
        opened=output.get("opened", False),
    )
    assert str(reading) == output["reads"]


def test_the_table_covers_what_models_do():
    groups = Counter(output["group"] for output in OUTPUTS)
    wanted = (
        "bare sentence markdown latex json qwen3 deepseek gptoss gemma medgemma refusal discussed article lowercase unicode"
    )
    assert len(OUTPUTS) >= 150
    assert len({output["text"] for output in OUTPUTS}) > 0.98 * len(OUTPUTS)
    assert min(groups[group] for group in wanted.split()) >= 10
    assert min(Counter(output["reads"] for output in OUTPUTS)[status] for status in ("unanswered", "truncated")) >= 30

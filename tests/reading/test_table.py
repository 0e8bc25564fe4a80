"""What each of many real-looking outputs must read as; `outputs.yaml` is the table of truth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from lm_eval_safescale.reading import CUT, read_answer
from lm_eval_safescale.reading.choices import SHAPE_RULES
from lm_eval_safescale.reading.letters import OTHER_RULES, VETO_RULES

OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OUTPUTS = yaml.load(
    (Path(__file__).parent / "outputs.yaml").read_text(encoding="utf-8"), Loader=LOADER
)


def read(output, change=str):
    return read_answer(
        change(output["text"]),
        output.get("options", OPTIONS),
        reasoning=output.get("reasoning", "auto"),
        opened=output.get("opened", False),
    )


@pytest.mark.parametrize("group", sorted({output["group"] for output in OUTPUTS}))
def test_each_output_reads_as_the_table_says(group):
    outputs = [output for output in OUTPUTS if output["group"] == group]
    readings = [(output, str(read(output))) for output in outputs]
    assert [
        (output["id"], output["text"], reads)
        for output, reads in readings
        if reads != output["reads"]
    ] == []


def test_each_reading_names_the_rule_that_made_it():
    rules = Counter()
    for output in OUTPUTS:
        reading = read(output)
        assert reading.rule in (
            SHAPE_RULES if reading.response else (*VETO_RULES, *OTHER_RULES, CUT)
        )
        rules[reading.rule] += 1
    # none stands idle
    assert min(rules[rule] for rule in (*SHAPE_RULES, *VETO_RULES, *OTHER_RULES, CUT)) >= 5


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"{text}\n",
        lambda text: f"{text}  \n\n ",
        lambda text: f"\n\n{text}",
        lambda text: f" {text}",
        lambda text: f"{text}\u200b",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" ", "\u00a0"),
        lambda text: f"{text}<|im_end|>" if text.strip() else text,
        lambda text: f"{text}</s>" if text.strip() else text,
    ],
    ids=[
        "line end",
        "spaces",
        "lines before",
        "space before",
        "invisible",
        "crlf",
        "hard spaces",
        "im_end",
        "eos",
    ],
)
def test_what_stands_around_an_output_does_not_matter(change):
    differ = [output["id"] for output in OUTPUTS if str(read(output, change)) != output["reads"]]
    assert differ == []


def test_no_output_that_is_cut_off_anywhere_breaks_the_reading():
    for output in OUTPUTS[::7]:
        for end in range(len(output["text"])):
            read(output, lambda text, end=end: text[:end])


def test_the_table_covers_what_models_do():
    groups = Counter(output["group"] for output in OUTPUTS)
    wanted = (
        "bare sentence markdown latex json qwen3 deepseek gptoss gemma medgemma refusal discussed "
        "article lowercase unicode"
    )
    assert len(OUTPUTS) >= 150
    assert len({output["text"] for output in OUTPUTS}) > 0.98 * len(OUTPUTS)
    assert min(groups[group] for group in wanted.split()) >= 10
    assert (
        min(
            Counter(output["reads"] for output in OUTPUTS)[status]
            for status in ("unanswered", "truncated")
        )
        >= 30
    )

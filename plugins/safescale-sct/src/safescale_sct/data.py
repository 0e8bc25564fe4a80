"""Twelve items written for this package. The cases and the panels are invented: no expert was
asked.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

from lm_eval_safescale.datasets import Dataset, Source, dataset_from_records
from safescale_sct.family import SCT


def load() -> Dataset:
    """The bundled items; results of them are marked DEMO."""
    lines = files(__package__).joinpath("examples.jsonl").read_text(encoding="utf-8").splitlines()
    dataset = dataset_from_records(
        [json.loads(line) for line in lines], name="sct-examples", version="1", parse=SCT.parse
    )
    return replace(dataset, is_demo=True)


EXAMPLES = Source(
    "sct-examples",
    "12 invented items with invented panels, to try script concordance tests on",
    load,
    SCT.name,
)

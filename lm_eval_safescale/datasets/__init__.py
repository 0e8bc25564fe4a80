"""Data sets: sources, column mapping, validation, fingerprints."""

from lm_eval_safescale.datasets.choices import parse_choices
from lm_eval_safescale.datasets.columns import Column, Given
from lm_eval_safescale.datasets.dataset import DEMO, Dataset
from lm_eval_safescale.datasets.files import FORMATS, TEXTS
from lm_eval_safescale.datasets.items import no_text, parse_items, shown
from lm_eval_safescale.datasets.problems import DataError, Problem, printable
from lm_eval_safescale.datasets.record import Record
from lm_eval_safescale.datasets.schema import Schema
from lm_eval_safescale.datasets.sources import (
    Parse,
    Source,
    check_file,
    data_folder,
    dataset_from_records,
    load_file,
    recheck,
)

__all__ = [
    "DEMO",
    "FORMATS",
    "TEXTS",
    "Column",
    "DataError",
    "Dataset",
    "Given",
    "Parse",
    "Problem",
    "Record",
    "Schema",
    "Source",
    "check_file",
    "data_folder",
    "dataset_from_records",
    "load_file",
    "no_text",
    "parse_choices",
    "parse_items",
    "printable",
    "recheck",
    "shown",
]

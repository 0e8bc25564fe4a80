"""Data sets: sources, column mapping, validation, fingerprints."""

from lm_eval_safescale.datasets.dataset import DEFAULT_DATASET, DEMO, Dataset
from lm_eval_safescale.datasets.files import FORMATS
from lm_eval_safescale.datasets.problems import DataError, Problem, printable
from lm_eval_safescale.datasets.sources import (
    SOURCES,
    Source,
    check_file,
    data_folder,
    dataset_from_records,
    fetch_hub,
    load_file,
    recheck,
)

__all__ = [
    "DEFAULT_DATASET",
    "DEMO",
    "FORMATS",
    "SOURCES",
    "DataError",
    "Dataset",
    "Problem",
    "Source",
    "check_file",
    "data_folder",
    "dataset_from_records",
    "fetch_hub",
    "load_file",
    "printable",
    "recheck",
]

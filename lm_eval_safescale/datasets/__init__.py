"""Data sets: sources, column mapping, validation, fingerprints."""

from lm_eval_safescale.datasets.dataset import DEMO, Dataset
from lm_eval_safescale.datasets.problems import DataError, Problem
from lm_eval_safescale.datasets.sources import SOURCES, Source, check_file, fetch_hub, load_dataset, load_file

__all__ = ["DEMO", "SOURCES", "DataError", "Dataset", "Problem", "Source", "check_file", "fetch_hub", "load_dataset", "load_file"]

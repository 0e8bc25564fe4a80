"""A data set: questions from wherever they are. Fields are those of a file (docs/data.md of
lm-eval-safescale).
"""

from lm_eval_safescale.datasets import Dataset, Source, dataset_from_records
from lm_eval_safescale.hookspecs import hookimpl

QUESTIONS = [
    {
        "question_id": "q1",
        "question": "Which modality uses no ionising radiation?",
        "options": {"A": "computed tomography", "B": "ultrasound", "C": "radiography"},
        "answer": "B",
    },
    {
        "question_id": "q2",
        "question": "Which agent is used in magnetic resonance imaging?",
        "options": {"A": "a gadolinium chelate", "B": "barium sulphate", "C": "fluorodeoxyglucose"},
        "answer": "A",
    },
]


def load(limit: int | None = None) -> Dataset:
    """Every parameter is a setting: dataset_args. Without labels the safety rates read "not
    scored", never 0."""
    return dataset_from_records(QUESTIONS[:limit], name="plugin_name", version="1")


PART = Source("plugin_name", "two questions, to be replaced by yours", load)


@hookimpl
def safescale_register_datasets(register):
    """Called once."""
    register(PART)

"""Results in the formats of others: every_eval_ever, the Hugging Face hub, one CSV file. Every
format tells of the same studies (`Subject`).
"""

from lm_eval_safescale.exporting.every_eval_ever import Provider, write_every_eval_ever
from lm_eval_safescale.exporting.files import Exported, Output
from lm_eval_safescale.exporting.hub import write_eval_results, write_model_index
from lm_eval_safescale.exporting.long_table import write_csv
from lm_eval_safescale.exporting.opening import Opened, open_folder, subjects_of
from lm_eval_safescale.exporting.subject import Result, Subject

__all__ = [
    "Exported",
    "Opened",
    "Output",
    "Provider",
    "Result",
    "Subject",
    "open_folder",
    "subjects_of",
    "write_csv",
    "write_eval_results",
    "write_every_eval_ever",
    "write_model_index",
]

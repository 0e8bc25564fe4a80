"""For plugin authors: checks that a part keeps its contract. Each runs the part as the package
would and names the clause it breaks.
"""

from lm_eval_safescale.testing.builders import check_context_builder
from lm_eval_safescale.testing.chat import StubModel
from lm_eval_safescale.testing.clauses import ContractError
from lm_eval_safescale.testing.datasets import check_dataset
from lm_eval_safescale.testing.families import check_family
from lm_eval_safescale.testing.metrics import check_metric
from lm_eval_safescale.testing.report_sections import check_report_section
from lm_eval_safescale.testing.retrievers import check_retriever

__all__ = [
    "ContractError",
    "StubModel",
    "check_context_builder",
    "check_dataset",
    "check_family",
    "check_metric",
    "check_report_section",
    "check_retriever",
]

"""The reader reads an explicit choice, and nothing else."""

import plugin_name
import pytest

from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.reading import read_answer

OPTIONS = {"A": "one", "B": "two"}


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        (r"So it is \boxed{B}.", "B"),
        (r"\boxed{A}, no: \boxed{B}", "unanswered"),
        (r"\boxed{E}", "unanswered"),
        ("B", "unanswered"),
        ("", "unanswered"),
    ],
)
def test_an_output_is_read(text, reads):
    assert str(read_answer(text, OPTIONS, reader=plugin_name.PART)) == reads


def test_it_is_found_once_the_package_is_installed():
    assert plugins().find("answer reader", "plugin-name/plugin_name").thing is plugin_name.PART

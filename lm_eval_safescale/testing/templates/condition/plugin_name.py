"""A condition: a context builder under a name, with settings of its own. A task's YAML asks for it:
`condition: plugin_name`.
"""

from lm_eval_safescale.contexts import Condition
from lm_eval_safescale.hookspecs import hookimpl

PART = Condition("plugin_name", "the 3 best passages of a corpus", builder="rag", args={"top_k": 3})


@hookimpl
def safescale_register_conditions(register):
    """Called once."""
    register(PART)

"""A context builder: the best passage stands last, nearest to the question."""

from collections.abc import Sequence

from lm_eval_safescale.contexts import BuildTools, ContextBuilder, Draft, join
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.records import Item


def build(items: Sequence[Item], tools: BuildTools, *, top_k: int, least: int = 1) -> list[Draft]:
    """One draft for each item, in order. `top_k` is the user's setting of that name; `least` is one
    of ours: builder_args."""
    found = tools.search([item.question for item in items], max(top_k, least))
    return [
        Draft(join(passages[::-1]), tuple(passages[::-1]), passages_wanted=max(top_k, least))
        for passages in found
    ]


PART = ContextBuilder(
    "plugin_name", "the top k passages, the best one last, nearest to the question", build
)


@hookimpl
def safescale_register_context_builders(register):
    """Called once."""
    register(PART)

"""The only place that imports the harness: the task class, and what it must know of the harness's
models.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval_safescale.harness.task import SafetyTask

__all__ = ["SafetyTask"]


def __getattr__(name: str) -> Any:
    """The task once it is asked for: what it rests on in the harness takes seconds to import."""
    if name != "SafetyTask":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lm_eval_safescale.harness.task import SafetyTask

    return SafetyTask

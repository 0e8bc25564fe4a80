"""Where the task files are: in the folder that the released harness scans, and in a checkout their
originals.
"""

from __future__ import annotations

from pathlib import Path

import lm_eval

INSTALLED_CONFIGS = Path(lm_eval.__file__).parent / "tasks" / "safescale"


def source_configs() -> list[Path]:
    """The YAML files of the checkout this package runs from; none for an installed package."""
    return sorted((Path(__file__).resolve().parents[2] / "task_configs").glob("*.yaml"))

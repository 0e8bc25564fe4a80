"""Hints as the options of a command line, ours or lm_eval's: nothing else in the library names one.
It prints nothing.
"""

from __future__ import annotations

import json
import shlex

from lm_eval_safescale.errors import (
    ArgumentHint,
    CommandHint,
    FolderHint,
    Hint,
    SafescaleError,
    SettingsHint,
)

OPTIONS = {"output": "-o", "gguf_file": "--gguf-file"}
"""Those that are not called as the argument is."""


def said(message: str | Hint | SafescaleError) -> str:
    """What is said to someone at a command line."""
    if isinstance(message, SafescaleError):
        return message.phrased(_as_options)
    return _as_options(message) if isinstance(message, Hint) else message


def _as_options(hint: Hint) -> str:
    match hint:
        case SettingsHint(values):
            return f"--metadata {shlex.quote(json.dumps(values, ensure_ascii=False))}"
        case ArgumentHint(name, True):
            return _option(name)
        case ArgumentHint(name, value):
            return f"{_option(name)} {value}"
        case CommandHint(command, options):
            return " ".join(
                [
                    command,
                    *(f"{_option(name)} {shlex.quote(value)}" for name, value in options.items()),
                ]
            )
        case FolderHint(where):
            return f"{where} with {_option('output')}"
    return str(hint)


def _option(name: str) -> str:
    return OPTIONS.get(name, f"--{name}")

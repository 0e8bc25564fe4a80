"""What a run is made with: packages, system, hardware and plugins. It loads none of the packages it
tells of, and tells nothing of whose machine it is.

What cannot be known is None.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lm_eval_safescale.plugins import OURS, version_of

PACKAGES = (
    OURS, "lm_eval", "torch", "transformers", "tokenizers", "accelerate", "peft", "vllm", "numpy",
    "polars",
)  # fmt: skip
"""Packages whose versions may change an answer or a number."""
CPU_INFO = Path("/proc/cpuinfo")
DRIVER = Path("/proc/driver/nvidia/version")
DEVICES = ("/dev/kfd", "/dev/dri", "/dev/accel", "/dev/dxg")
"""Where Linux shows accelerators that are not NVIDIA's, or may be."""
MANAGEMENT_LIBRARY = "libnvidia-ml.so.1"
_VERSION = re.compile(r"\d+(\.\d+)*")
NAME_BYTES = 96


def surroundings() -> dict[str, Any]:
    """All of it, as JSON values."""
    return {
        "packages": {name: version_of(name) for name in PACKAGES},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": {
            "name": platform.system() or None,
            "distribution": _distribution(),
            "release": _release(),
            "machine": platform.machine() or None,
        },
        "hardware": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "usable_cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else None,
            "memory_bytes": _memory(),
            **_gpus(),
        },
    }


def _distribution() -> str | None:
    with suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    return None


def _release() -> str | None:
    """The kernel's version alone: whoever built it may have put a name behind it."""
    found = _VERSION.match(platform.release())
    return found[0] if found else None


def _cpu() -> str | None:
    with suppress(OSError):
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip() or None
    return None


def _memory() -> int | None:
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


@functools.cache
def _gpus() -> dict[str, Any]:
    """`gpus` that this machine has, and their `gpu_driver`: asked of NVIDIA's management library,
    which needs neither torch nor a context on a device."""
    with suppress(OSError, AttributeError, _NoAnswerError), _management() as ask:
        text = ctypes.create_string_buffer(NAME_BYTES)
        number = ctypes.c_uint()
        ask("nvmlSystemGetDriverVersion", text, NAME_BYTES)
        driver = text.value.decode(errors="replace")
        ask("nvmlDeviceGetCount_v2", ctypes.byref(number))
        return {"gpus": [_gpu(ask, each) for each in range(number.value)], "gpu_driver": driver}
    is_without = (
        platform.system() == "Linux"
        and not DRIVER.exists()
        and not any(Path(each).exists() for each in DEVICES)
    )
    return {"gpus": [] if is_without else None, "gpu_driver": None}


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def _gpu(ask: Callable[..., None], number: int) -> dict[str, Any]:
    device, memory = ctypes.c_void_p(), _Memory()
    text = ctypes.create_string_buffer(NAME_BYTES)
    ask("nvmlDeviceGetHandleByIndex_v2", number, ctypes.byref(device))
    ask("nvmlDeviceGetName", device, text, NAME_BYTES)
    total = None
    with suppress(_NoAnswerError):  # a part of a device may not tell
        ask("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory))
        total = memory.total
    return {"name": text.value.decode(errors="replace"), "memory_bytes": total}


class _NoAnswerError(Exception):
    """The library does not tell."""


@contextmanager
def _management() -> Iterator[Callable[..., None]]:
    library = ctypes.CDLL(MANAGEMENT_LIBRARY)

    def ask(name: str, *args: Any) -> None:
        if getattr(library, name)(*args) != 0:
            raise _NoAnswerError(name)

    ask("nvmlInit_v2")
    try:
        yield ask
    finally:
        library.nvmlShutdown()

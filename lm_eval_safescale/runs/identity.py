"""Whose answers a folder holds: which model, revision, data, prompt and settings must be the same
for its rows to stand in one table.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.settings import MAKE_ANSWERS, Settings, recorded

HOW_FAST = frozenset({
    "api_key", "auth_token", "base_url", "ca_cert_path", "device", "device_map",
    "disable_log_stats", "distributed_executor_backend", "download_dir", "enable_chunked_prefill",
    "enable_prefix_caching", "enforce_eager", "gpu_memory_utilization", "header", "max_batch_size",
    "max_cpu_memory", "max_length", "max_memory_per_gpu", "max_model_len", "max_num_batched_tokens",
    "max_num_seqs", "max_retries", "num_concurrent", "offload_folder", "parallelize",
    "pipeline_parallel_size", "swap_space", "tensor_parallel_size", "timeout", "verify_certificate",
    "hf_token", "token", "use_auth_token",
})  # fmt: skip
"""Arguments of a model that say where and how fast it answers, or how much fits, and not what: they
may change between two starts. A context that depends on the window is told apart by its
fingerprint."""
HOLD_FILES = ("model", "pretrained", "peft", "delta", "lora_local_path", "tokenizer")
"""Arguments that may name files whose contents make an answer."""
UNNAMED = (None, "", RADSAFE.name)
"""A family that goes without saying: the first one."""
WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
SAMPLES, SAMPLE_BYTES = 64, 16_384
"""Pieces of a file of weights that are looked at, and their size: whole files would take minutes.
Training changes nearly every number."""


def identity_of(
    backend: str,
    args: Mapping[str, Any],
    settings: Settings,
    about: Mapping[str, Any],
    prompt: str,
    seed: int,
) -> dict[str, Any]:
    """What must be the same for answers to stand in one folder.

    Parameters
    ----------
    backend, args
        The backend's name, and the model's arguments without secrets.
    about
        What runs say of their data set.
    prompt
        Fingerprint of the prompt's template.
    """
    return {
        "model": model_identity(backend, args),
        "dataset": {
            key: about[key]
            for key in ("family", "name", "fingerprint")
            if about.get(key) not in UNNAMED
        },
        # those that make a context show in the prompt
        "settings": recorded(settings.model_dump(mode="json"), MAKE_ANSWERS),
        "prompt_template": prompt,
        "seed": seed,
    }


def model_identity(backend: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two models the same: backend, arguments and files."""
    own = {key: value for key, value in args.items() if key not in HOW_FAST}
    for key in HOLD_FILES:
        if args.get(key) and (path := path_of(str(args[key]))) is not None:
            own[key] = path.resolve().name
            own["files" if key in ("pretrained", "model") else f"{key}_files"] = fingerprint_of(
                path
            )
    return {"backend": backend, **own}


def path_of(name: str) -> Path | None:
    """The file or folder of that name; None where there is none, or the name can be none (a model's
    on a hub or a server)."""
    try:
        return Path(name) if Path(name).exists() else None
    except OSError:  # too long, or behind a folder that cannot be read
        return None


def is_missing_path(name: str) -> bool:
    """Whether a model's name can be nothing but a path, and there is nothing: /..., ./..., ../...,
    ~... or more than two parts.

    ORG/NAME may be one on a hub, ORG/NAME/FILE.gguf a file there, and SCHEME://... elsewhere.
    """
    separators = name.count("/") + name.count("\\")
    elsewhere = "://" in name or (separators == 2 and name.endswith(".gguf"))
    is_path = name.startswith(("/", "\\", "./", ".\\", "../", "..\\", "~")) or (
        separators > 1 and not elsewhere
    )
    # Path's raises for a user that there is not
    return is_path and path_of(os.path.expanduser(name)) is None  # noqa: PTH111


def fingerprint_of(folder: Path) -> str:
    """SHA-256 (hex) over a model's files: the names, the sizes, the contents, and of weights pieces
    from all over them."""
    digest = hashlib.sha256()
    files = (
        sorted(path for path in folder.rglob("*") if path.is_file())
        if folder.is_dir()
        else [folder]
    )
    for path in files:
        name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        if name.startswith(".") or "/." in name:
            continue
        size = path.stat().st_size
        digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
        with path.open("rb") as file:
            if path.suffix not in WEIGHTS or size <= SAMPLES * SAMPLE_BYTES:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                continue
            for number in range(SAMPLES):
                file.seek((size - SAMPLE_BYTES) * number // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()

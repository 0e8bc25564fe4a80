"""The contract of a data set, checked by loading it."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from inspect import signature
from typing import Any, NoReturn
from unittest import mock

from lm_eval_safescale.assembly import load_part
from lm_eval_safescale.datasets import Source
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.testing.clauses import registered


def check_dataset(
    source: Source, *, args: Mapping[str, Any] | None = None, evidence: Collection[str] = ()
) -> None:
    """Load a data set as the package would, with every item checked as those of a file are.

    Raises
    ------
    ContractError
        Naming the clause that the data set breaks (`docs/plugins.md`).
    """
    part, clauses = registered("data set", source)
    clauses.require(bool(source.description.strip()), "has a description")
    with clauses.holds("loads, with items (and ids) that pass the checks of a file"):
        dataset = load_part(part, args, evidence=evidence)
        again = load_part(part, args, evidence=evidence)
    clauses.require(
        bool(dataset.name.strip()) and bool(dataset.version.strip()),
        "has a name and a version",
        f"{dataset.name!r}, {dataset.version!r}",
    )
    clauses.require(
        dataset.fingerprint == again.fingerprint and dataset.version == again.version,
        "is the same data set, of the same version, when it is loaded again",
    )
    if "local_only" in signature(source.load).parameters:
        clause = "does not use the network when it is told not to (`local_only`)"
        with clauses.holds(clause), _no_network() as attempts:
            with suppress(SafescaleError):  # not on this machine: said, and nothing fetched
                load_part(part, args, evidence=evidence, local_only=True)
            clauses.require(not attempts, clause, ", ".join(attempts))


@contextmanager
def _no_network() -> Iterator[list[str]]:
    """Refuses every connection, and notes where it should have gone."""
    attempts: list[str] = []

    def refuse(*where: Any, **_: Any) -> NoReturn:
        attempts.append(repr(where[-1] if isinstance(where[0], socket.socket) else where[0]))
        raise OSError("no network while local_only is checked")

    with (
        mock.patch.object(socket, "getaddrinfo", refuse),
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(socket.socket, "connect_ex", refuse),
    ):
        yield attempts

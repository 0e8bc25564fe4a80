"""What keeps a model from answering: a kind, by which all decide, and a message, which is only
shown. It knows no server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    """No connection, or one that broke."""
    UNTRUSTED = "untrusted"
    """The certificate of the server is not trusted."""
    NOT_TLS = "not_tls"
    """The server does not speak TLS, and https was asked for."""
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    NO_CREDIT = "no_credit"
    UNAUTHORIZED = "unauthorized"
    """No key, or a wrong one (401)."""
    FORBIDDEN = "forbidden"
    """Of the key, or of this request alone (403)."""
    REFUSED = "refused"
    """This request, by a model that is there: for its length or a parameter, say (400, 413,
    422)."""
    WITHHELD = "withheld"
    """A content filter refuses this request."""
    BROKEN = "broken"
    """The server itself failed (5xx)."""
    UNUSABLE = "unusable"
    """What came back is no answer."""
    OTHER = "other"


OF_STATUS = {
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.FORBIDDEN,
    429: FailureKind.RATE_LIMITED,
    **dict.fromkeys((400, 413, 422), FailureKind.REFUSED),
}


def kind_of_status(status: int) -> FailureKind:
    """What an HTTP status other than 200 says."""
    return OF_STATUS.get(status, FailureKind.BROKEN if status >= 500 else FailureKind.UNUSABLE)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    kind: FailureKind
    message: str
    status: int | None = None
    """Of the HTTP response; None where none came."""
    said: str = ""
    """The beginning of what the server itself said, without what was sent in secret."""

    def __str__(self) -> str:
        return self.message

"""What is a secret, and what is written or shown in its place: decided here and nowhere else. It
knows neither servers nor files.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

MASK = "***"
PARTS_OF_NAMES = (
    "key",
    "secret",
    "passw",
    "passphrase",
    "credential",
    "cookie",
    "bearer",
    "auth",
    "header",
)
"""What the name of a secret holds."""
TEXT_TOKENS = frozenset({
    "add_bos_token", "bos_token", "cls_token", "eos_token", "image_token", "mask_token",
    "pad_token", "prefix_token", "sep_token", "think_end_token", "unk_token",
})  # fmt: skip
"""Arguments that are named like a key and hold none."""
LEAST_SECRET = 8
"""Characters: what is shorter is no secret (servers without keys are given `EMPTY` or the like),
and may be a word of a reply."""
LEAST_QUERY = 16
"""The same of what stands behind the `?` or `#` of an address, where dates and versions stand
too."""

_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>`]+")
_BEARER = re.compile(r"\b(Bearer|Basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_PAIR = re.compile(
    r"""((["']?)\b([A-Za-z][\w-]*)\2\s*([:=])\s*)("[^"]*"?|'[^']*'?|[^\s,;&}\])]+)"""
)
"""In a text, a name and the value behind it."""
_SURE = re.compile(
    r"([\w-]+[_-]|api|access)(key|token)|secrets?|credentials?|authorization|passw(or)?d"
    r"|passphrase|cookie",
    re.IGNORECASE,
)
"""Names that stand for a secret wherever they stand; `key: B` and `unexpected token: }` are said of
other things."""
_VARIABLE = re.compile(r"(.*_)?(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)")
"""Variables of the environment that hold keys."""


def is_secret(name: str) -> bool:
    """Whether an argument of that name may hold a key."""
    name = name.casefold()
    if name in TEXT_TOKENS:
        return False
    return (
        name == "token"
        or name.endswith(("_token", "-token", "accesstoken", "apitoken"))
        or any(part in name for part in PARTS_OF_NAMES)
    )


# --- values as they may be written down -----------------------------------------------------------


def without_secrets(value: Any) -> Any:
    """A value (of JSON) as it may be written down.

    Masked are, at any depth, what a secret's name stands before, the secret parts of addresses, and
    the keys that the environment holds.
    """
    return mask_of().hide_in(_masked_in(value))


def _masked_in(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: MASK if is_secret(str(name)) else _masked_in(each) for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked_in(each) for each in value]
    return masked(value) if isinstance(value, str) else value


def masked(text: str) -> str:
    """A text of somebody else's, or a value, without bearer tokens and the secret parts of
    addresses: user, password, query, fragment."""
    text = _ADDRESS.sub(lambda found: masked_address(found[0]), text)
    return _BEARER.sub(rf"\1\2{MASK}", text)


def masked_pairs(text: str) -> str:
    """The same, and without the values that a secret's name stands before (`api_key=...`,
    `"token": "..."`)."""

    def without(found: re.Match[str]) -> str:
        name, is_code = found[3], bool(found[2]) or found[4] == "="
        is_named = name.casefold() not in TEXT_TOKENS and (
            _SURE.fullmatch(name) or (is_code and is_secret(name))
        )
        return f"{found[1]}{MASK}" if is_named else found[0]

    return _PAIR.sub(without, masked(text))


def masked_model_args(text: str) -> str:
    """`name=value,name=value` as it may be written down. A part without a name belongs to the value
    before, and is masked whole."""
    parts = [part.partition("=") for part in text.split(",")]
    return ",".join(
        f"{name}={MASK if is_secret(name.strip()) else masked(value)}"
        if equals
        else MASK
        if name.strip()
        else name
        for name, equals, value in parts
    )


PLACES = ("base_url", "index_dir", "settings_path", "cache_dir", "download_dir")
"""Names of what says where something lies, and nothing of what it is."""
_PATH = re.compile(
    r"(?<![\w.:/~-])(?:~?/|~|[A-Za-z]:[\\/]|\\\\)[^\s'\",;<>|)\]]*[\\/]([^\s'\",;<>|)\]\\/]*)"
)


def without_places(value: Any, whole: Container[str] = ()) -> Any:
    """A value (of JSON) without secrets, and without where anything lies: of paths the last part is
    left.

    Parameters
    ----------
    whole
        Names of texts that are no paths, whatever they look like.
    """
    return _without_places(without_secrets(value), whole)


def _without_places(value: Any, whole: Container[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: each if name in whole else _without_places(each, whole)
            for name, each in value.items()
            if name not in PLACES
        }
    if isinstance(value, list | tuple):
        return [_without_places(each, whole) for each in value]
    return _PATH.sub(r"\1", value) if isinstance(value, str) else value


# --- addresses ------------------------------------------------------------------------------------


class _Address(NamedTuple):
    scheme: str
    user: str | None
    """User name and password."""
    place: str
    """Host, port and path."""
    query: str | None
    """With the fragment."""


def _address(text: str) -> _Address:
    """The parts of an address, well-formed or not: where a reading is in doubt, the larger part
    counts as secret."""
    scheme, _, rest = text.partition("://")
    cut = next((place for place, character in enumerate(rest) if character in "?#"), None)
    place, query = (rest, None) if cut is None else (rest[:cut], rest[cut + 1 :])
    if "@" in place:
        user, _, place = place.rpartition("@")
        return _Address(scheme, user, place, query)
    host, _, path = place.partition("/")
    if query is not None and "@" in query and not path:  # a password with a question mark, perhaps
        return _Address(scheme, rest.rpartition("@")[0], "", query)
    # what stands for a port is none
    if not re.fullmatch(r"[^:]*|\[[0-9a-fA-F:.%]*\](:\d*)?|[^:]*:\d*", host):
        return _Address(scheme, host, f"/{path}" if path else "", query)
    return _Address(scheme, None, place, query)


def masked_address(text: str) -> str:
    """An address as it may be written down: `https://***@host/v1?***`. Nothing in a query or a
    fragment is told from a key."""
    parts = _address(text)
    user = "" if parts.user is None else f"{MASK}@"
    return f"{parts.scheme}://{user}{parts.place}{'' if parts.query is None else f'?{MASK}'}"


_PLAIN = re.compile(r"(?:https?://(?:\*\*\*@)?[\w.-]+(?::\d{1,5})?|[\w.-]+:\d{1,5})(?:[/?]\S*)?")


def shown_address(text: str) -> str:
    """What was given as an address, for an error message: masked, and nothing of it where it is
    none."""
    shown = masked(text)
    return shown if _PLAIN.fullmatch(shown) else MASK


# --- secrets that are known -----------------------------------------------------------------------


def secrets_in(value: Any, *, named: bool = False) -> Iterator[str]:
    """Every secret in a value, at any depth: what a secret's name stands before, passwords, and
    long parts of queries and fragments.

    Parameters
    ----------
    named
        Whether a secret's name stands before the value itself.
    """
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from secrets_in(each, named=named or is_secret(str(name)))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from secrets_in(each, named=named)
    elif named and isinstance(value, str | int):
        yield from str(value).split()  # a key behind the word Bearer, say
    elif isinstance(value, str):
        for found in _ADDRESS.findall(value):
            yield from _secrets_in_address(found)


def _secrets_in_address(text: str) -> Iterator[str]:
    parts = _address(text)
    if parts.user is not None:
        name, colon, password = parts.user.partition(":")
        yield from _decoded(password if colon else name)
    for each in re.split(r"[&=#;?]", parts.query or ""):
        if len(each) >= LEAST_QUERY:
            yield from _decoded(each)


def _decoded(text: str) -> tuple[str, ...]:
    return text, unquote(text)


def secrets_of_environment(environ: Mapping[str, str] | None = None) -> set[str]:
    """The secrets in variables of the environment: of keys by their names (`OPENAI_API_KEY`), in
    addresses, and in settings as JSON."""
    found: set[str] = set()
    for name, value in (os.environ if environ is None else environ).items():
        if _VARIABLE.fullmatch(name.upper()):
            found.update(value.split())
        elif value.startswith("{"):
            with suppress(ValueError, RecursionError):
                found.update(secrets_in(json.loads(value)))
        else:
            found.update(secrets_in(value))
    return found


class Mask:
    """Puts `***` in the place of secrets that are known, however a text spells them.

    Parameters
    ----------
    secrets
        Those shorter than 8 characters are left alone: they may be words.

    Notes
    -----
    Found are a secret as it is, with any of its characters escaped as JSON (`\\u0073`), URLs
    (`%73`), Python (`\\x73`) and HTML (`&#115;`) do it, and in Base64, whatever stands before and
    behind it there.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {each.strip() for each in secrets}
        spelled = [
            _spelled(each)
            for each in sorted(known, key=len, reverse=True)
            if len(each) >= LEAST_SECRET
        ]
        self._pattern = re.compile("|".join(spelled)) if spelled else None

    def hide(self, text: str) -> str:
        """The text without them."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def hide_in(self, value: Any) -> Any:
        """A value without them in its texts and names, at any depth."""
        if self._pattern is None:
            return value
        if isinstance(value, Mapping):
            return {self.hide_in(name): self.hide_in(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_in(each) for each in value]
        return self.hide(value) if isinstance(value, str) else value


def mask_of(*given: Any) -> Mask:
    """A mask for the secrets of the environment, and of the values given."""
    return _mask_of(frozenset({*secrets_of_environment(), *secrets_in(given)}))


_mask_of = functools.lru_cache(maxsize=8)(Mask)


def shown_text(text: str, *given: Any) -> str:
    """A text of somebody else's (an error, say) as it may be written or shown: without these
    secrets and without those in addresses."""
    return masked(mask_of(*given).hide(text))


def _spelled(secret: str) -> str:
    return "|".join(["".join(map(_character, secret)), *_in_base64(secret)])


def _character(character: str) -> str:
    """A pattern for each way to write it; only hexadecimal digits may be in either case."""
    code, itself = ord(character), re.escape(character)
    ways = [
        itself,
        rf"\\{{1,8}}u(?i:{code:04x})",
        rf"\\{{1,8}}x(?i:{code:02x})",
        "(?i:" + "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass")) + ")",
        rf"&#0{{0,5}}(?:{code}|(?i:x0{{0,5}}{code:x}));",
    ]
    if character in "/\"'\\":
        ways.append(rf"\\{itself}")
    return f"(?:{'|'.join(ways)})"


def _in_base64(secret: str) -> Iterator[str]:
    """The characters that stand for a secret alone: one spelling for each place at which it can
    begin within three bytes."""
    data = secret.encode(errors="surrogatepass")
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        core = whole[(before * 8 + 5) // 6 : None if (before + len(data)) % 3 == 0 else -1]
        yield re.escape(core).replace(r"\+", "[+-]").replace("/", "[/_]")

"""The layout of a prompt: a system turn and a user turn from templates, ours or the user's
(PROTOCOL §3).

It does not know conditions or models: it is handed an item and, perhaps, a context.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from json import dumps
from pathlib import Path

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, read_yaml
from lm_eval_safescale.records import Context, Item

CONTEXT = "context"
_FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the user turn in every prompt of a condition, as the model got them: the
    chat template with the system turn, or the system turn alone."""

    before: str
    after: str
    json: bool = False
    """Whether the prompt is a conversation written as JSON, as servers take it."""

    @classmethod
    def of(cls, prompt: str, user: str, *, json: bool) -> Frame | None:
        """The frame of a prompt; None where its user turn does not stand in it, once."""
        before, found, after = prompt.partition(_written(user, json=json))
        return cls(before, after, json) if found else None

    @classmethod
    def plain(cls, system: str) -> Frame:
        """That of a model without a chat template."""
        return cls(f"{system}\n\n" if system else "", "")

    def around(self, user: str) -> str:
        """The prompt with that user turn."""
        return f"{self.before}{_written(user, json=self.json)}{self.after}"

    def shows(self, system: str) -> bool:
        """Whether the system turn stands in it."""
        return _written(system.strip(), json=self.json) in self.before + self.after


def _written(turn: str, *, json: bool) -> str:
    return dumps(turn, ensure_ascii=False)[1:-1] if json else turn


def sha256_of_prompt(text: str) -> str:
    """SHA-256 (hex) of a prompt as the model got it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Two templates; the user turn has `{context}`, and the fields of its family's items
    (`{question}`, `{options}`).

    A paragraph (between blank lines) of the user turn that holds `{context}` is left out where
    there is no context, or an empty one.
    """

    system: str
    user: str

    def render(self, item: Item, context: Context | None) -> str:
        """The user turn for an item."""
        values = {CONTEXT: context.text if context else "", **item.fields()}
        shown = [
            paragraph
            for paragraph in self.paragraphs
            if values[CONTEXT] or "{context}" not in paragraph
        ]
        return _FIELD.sub(lambda match: values[match[1]], "\n\n".join(shown))

    @property
    def paragraphs(self) -> list[str]:
        """The user turn's paragraphs."""
        return re.split(r"\n[ \t]*\n", self.user.strip("\n"))

    @property
    def fields(self) -> list[str]:
        """The fields of the user turn, each once."""
        return list(dict.fromkeys(_FIELD.findall(self.user)))

    @property
    def shows_context(self) -> bool:
        """Whether a context would be shown at all."""
        return "{context}" in self.user

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of both templates."""
        return hashlib.sha256(dumps([self.system, self.user]).encode()).hexdigest()


def load_prompt(path: Path | None, own: Prompt) -> Prompt:
    """The user's prompt from a YAML file with `user` and, if wanted, `system` (`own` otherwise; ""
    for none); or `own`.

    Parameters
    ----------
    own
        The family's prompt for the condition: its fields are those that the user's must have,
        `{context}` excepted.

    Raises
    ------
    SafescaleError
        If the file cannot be read, has other names in it, or leaves out one of the fields.
    """
    if path is None:
        return own
    try:
        content = read_yaml(path)
    except InputError as error:
        raise SafescaleError(f"prompt_file cannot be read as YAML: {error}") from None
    expected = 'expected a mapping with "user" and, if wanted, "system", both texts'
    if (
        not isinstance(content, dict)
        or not set(content) <= {"user", "system"}
        or not isinstance(content.get("user"), str)
    ):
        raise SafescaleError(f"prompt_file: {path}: {expected}")
    system = content.get("system", own.system)
    if not isinstance(system, str):
        raise SafescaleError(
            f'prompt_file: {path}: {expected}; without a system turn write system: ""'
        )
    fields = set(_FIELD.findall(content["user"]))
    required = [name for name in own.fields if name != CONTEXT]
    allowed = [CONTEXT, *required]
    if unknown := fields - set(allowed):
        names = ", ".join(f"{{{name}}}" for name in sorted(unknown))
        expected = ", ".join(f"{{{name}}}" for name in allowed)
        raise SafescaleError(
            f"prompt_file: {path}: unknown {names} in the user turn; expected {expected}"
        )
    if misplaced := set(_FIELD.findall(system)) & set(allowed):
        names = ", ".join(f"{{{name}}}" for name in sorted(misplaced))
        raise SafescaleError(
            f"prompt_file: {path}: {names} in the system turn would not be filled in; move it to "
            "the user turn"
        )
    if missing := set(required) - fields:
        names = ", ".join(f"{{{name}}}" for name in sorted(missing))
        raise SafescaleError(
            f"prompt_file: {path}: the user turn lacks {names}, so the model would not see it"
        )
    prompt = Prompt(system.strip(), content["user"])
    if any(
        "{context}" in paragraph and len(set(_FIELD.findall(paragraph))) > 1
        for paragraph in prompt.paragraphs
    ):
        raise SafescaleError(
            f"prompt_file: {path}: {{context}} shares a paragraph with another field, which would "
            "go with it where there is no context; put a blank line between them"
        )
    return prompt

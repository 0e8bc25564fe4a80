"""False letters and misses of the reading on labelled outputs, beside the rules that other
harnesses use; and its speed.

The outputs are those of tests/reading/outputs.yaml, which the rules were made with: other outputs
will be read worse.

    python benchmarks/reading.py                     # confusion, by kind
    python benchmarks/reading.py --before COMMIT     # and the reader of another commit beside,
                                                     # in outcome and speed
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
Rule = Callable[[str, Mapping[str, str]], str | None]

# --- what other harnesses do, in our own words ----------------------------------------------------


def _one_of(found: str | None, options: Mapping[str, str]) -> str | None:
    return found.upper() if found and found.upper() in options else None


def _pattern(pattern: str, *, last: bool = False, flags: int = 0) -> Rule:
    compiled = re.compile(pattern, flags)

    def read(text: str, options: Mapping[str, str]) -> str | None:
        found = compiled.findall(text)
        return _one_of(found[-1 if last else 0], options) if found else None

    return read


def _first_of(*rules: Rule) -> Rule:
    return lambda text, options: next(
        (letter for rule in rules if (letter := rule(text, options))), None
    )


def _option_text(text: str, options: Mapping[str, str]) -> str | None:
    """The option whose text stands in the output, if only one does."""
    found = [letter for letter, option in options.items() if option.lower() in text.lower()]
    return found[0] if len(found) == 1 else None


PEERS: dict[str, Rule] = {
    "exact match": lambda text, options: (
        _one_of(text.strip(), options) if len(text.strip()) == 1 else None
    ),
    "first character": lambda text, options: _one_of(text.strip()[:1], options),
    "first letter that stands alone": _pattern(r"\b([A-J])\b"),
    "last letter that stands alone": _pattern(r"\b([A-J])\b", last=True),
    "last letter in parentheses": _pattern(r"\(([A-J])\)", last=True),
    "regex 'answer is X', else the last letter": _first_of(
        _pattern(r"answer is \(?([A-J])\)?"),
        _pattern(r"[aA]nswer:\s*([A-J])", last=True),
        _pattern(r"\b([A-J])\b", last=True),
    ),
    "lm-eval style multiple choice": _first_of(
        _pattern(r"\(([A-J])\)"), _option_text, _pattern(r":\s*([A-J])\b")
    ),
    "simple-evals style": _pattern(r"answer\s*:\s*\$?\**\(?([A-J])\b", flags=re.IGNORECASE),
    "inspect style": _pattern(
        r"^answer\s*:\s*([A-J])\s*(?:$|\.)", last=True, flags=re.IGNORECASE | re.MULTILINE
    ),
}


def _behind_reasoning(text: str) -> str:
    return text.rpartition("</think>")[2]


# --- the readers ----------------------------------------------------------------------------------


@contextmanager
def _reader(folder: Path) -> Iterator[Callable[..., Any]]:
    """`read_answer` of the package in a folder."""
    for name in [name for name in sys.modules if name.startswith("lm_eval_safescale")]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("lm_eval_safescale.reading").read_answer
    finally:
        sys.path.remove(str(folder))


def _at(commit: str, folder: Path) -> Path:
    archive = subprocess.run(
        ["git", "archive", commit, "lm_eval_safescale"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _letter(read: Callable[..., Any], output: Mapping[str, Any]) -> str | None:
    how = {name: output[name] for name in ("reasoning", "opened") if name in output}
    letter: str | None = read(output["text"], output.get("options", OPTIONS), **how).letter
    return letter


# --- confusion ------------------------------------------------------------------------------------


def confusion(
    outputs: list[dict[str, Any]], readers: Mapping[str, Callable[[dict[str, Any]], str | None]]
) -> None:
    """Print how many letters each reader reads that were not chosen, and how many choices it
    misses."""
    chosen = [output["reads"] if len(output["reads"]) == 1 else None for output in outputs]
    total = sum(letter is not None for letter in chosen)
    print(f"\n{len(outputs):,} outputs, {total:,} with a choice\n")
    print("| reader | right | false letters | misses |\n|---|---:|---:|---:|")
    by_kind: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for name, read in readers.items():
        counts: Counter[str] = Counter()
        for output, letter in zip(outputs, chosen, strict=True):
            said = read(output)
            kind = "right" if said == letter else "miss" if said is None else "false"
            counts[kind] += 1
            by_kind[output["group"]][name][kind] += 1
        print(f"| {name} | {counts['right']:,} | {counts['false']:,} | {counts['miss']:,} |")
    shown = [name for name in readers if name.startswith("ours") or name in list(PEERS)[5:]]
    print(f"\n| kind | outputs | {' | '.join(shown)} |\n|---|---:|{'---:|' * len(shown)}")
    for kind, found in sorted(by_kind.items()):
        cells = [f"{found[name]['false']} / {found[name]['miss']}" for name in shown]
        print(
            f"| {kind} | {sum(output['group'] == kind for output in outputs)} | "
            f"{' | '.join(cells)} |"
        )


# --- speed ----------------------------------------------------------------------------------------

PROSE = (
    "The CT angiogram shows a filling defect in the right main pulmonary artery, which is typical. "
    "Option A would show a pleural line; there is none here. A pleural effusion is not seen either "
    "(B), and the angles are sharp. "
)
HOSTILE = (
    "A ",
    "answer is A ",
    "C is ",
    "option A or ",
    '{"answer":"A"},',
    "Answer: (",
    "<think>",
    "<|im_end|>",
    "(",
    " ",
    "\n",
    "no ",
    "**",
    "A. x\n",
)


def _us(read: Callable[..., Any], texts: list[str], repeats: int = 5) -> float:
    """Microseconds of CPU a text, the best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        for text in texts:
            read(text, OPTIONS)
        best = min(best, time.process_time() - start)
    return best / len(texts) * 1e6


def speed(
    now: Callable[..., Any], before: Callable[..., Any] | None, outputs: list[dict[str, Any]]
) -> None:
    """Print how long a text takes now and before, and how the time grows with the length."""
    sets = {
        "a bare letter": ["C"] * 300,
        "a short answer": [
            "C. Pulmonary embolism",
            "Answer: C",
            "The correct answer is C.",
            "**C**",
        ]
        * 75,
        "the labelled outputs": [output["text"] for output in outputs],
        "prose, 1,000 characters": [PROSE * 5 + "The correct answer is C."] * 20,
        "prose, 100,000 characters": [PROSE * 475 + "The correct answer is C."],
    }
    print("\n| output | us | before, us | now / before |\n|---|---:|---:|---:|")
    for name, texts in sets.items():
        us, then = _us(now, texts), _us(before, texts) if before else float("nan")
        print(f"| {name} | {us:,.1f} | {then:,.1f} | {us / then:.2f} |")
    print(
        "\n| unit, repeated | 10,000 characters, ms | 100,000, ms | 1,000,000, ms | a character at "
        "a million / at 10,000 |"
    )
    print("|---|---:|---:|---:|---:|")
    for unit in (PROSE, *HOSTILE):
        ms = [
            _us(now, [unit * (length // len(unit))], 2) / 1000
            for length in (10_000, 100_000, 1_000_000)
        ]
        name = "prose" if unit is PROSE else f"`{unit!r}`"
        print(
            f"| {name} | {ms[0]:,.1f} | {ms[1]:,.1f} | {ms[2]:,.1f} | {ms[2] / ms[0] / 100:.2f} |"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="COMMIT", help="of another reader to compare with")
    asked = parser.parse_args()
    with (ROOT / "tests" / "reading" / "outputs.yaml").open(encoding="utf-8") as file:
        outputs = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    with tempfile.TemporaryDirectory() as folder:
        before = None
        if asked.before:
            with _reader(_at(asked.before, Path(folder))) as before:
                pass
        with _reader(ROOT) as now:
            readers: dict[str, Callable[[dict[str, Any]], str | None]] = {
                "ours": lambda output: _letter(now, output)
            }
            if before:
                readers["ours, before"] = lambda output: _letter(before, output)
            for name, rule in PEERS.items():
                readers[name] = lambda output, rule=rule: rule(
                    _behind_reasoning(output["text"]), output.get("options", OPTIONS)
                )
            confusion(outputs, readers)
            speed(now, before, outputs)


if __name__ == "__main__":
    main()

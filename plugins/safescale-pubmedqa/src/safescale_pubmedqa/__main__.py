"""`python -m safescale_pubmedqa corpus FILE FOLDER`: the abstracts as a corpus, and which one
settles which question.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from safescale_pubmedqa import load


def main(arguments: Sequence[str]) -> str:
    """Write FOLDER/corpus.jsonl and FOLDER/settling.jsonl; what was written."""
    match arguments:
        case ["corpus", file, folder]:
            dataset, out = load(file), Path(folder)
        case _:
            raise SafescaleError("usage: python -m safescale_pubmedqa corpus FILE FOLDER")
    out.mkdir(parents=True, exist_ok=True)
    write(
        out / "corpus.jsonl",
        ({"id": item.question_id, "title": "", "text": item.evidence["clean"]} for item in dataset),
    )
    write(
        out / "settling.jsonl",
        ({"question_id": item.question_id, "settling": [item.question_id]} for item in dataset),
    )
    return f"{len(dataset)} abstracts: {out / 'corpus.jsonl'}, {out / 'settling.jsonl'}"


def write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except SafescaleError as error:
        sys.exit(f"error: {error}")

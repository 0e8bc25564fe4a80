"""A command that works for each subcommand, in the order of a study: its help ends with it."""

from __future__ import annotations

EXAMPLES = {
    "doctor": "safescale doctor --model Qwen/Qwen2.5-7B-Instruct",
    "plugins list": "safescale plugins list",
    "plugins new": "safescale plugins new my_retriever --kind retriever",
    "data list": "safescale data list",
    "data fetch": "safescale data fetch",
    "data validate": "safescale data validate questions.csv --conditions clean,conflict",
    "data show": "safescale data show demo demo-003",
    "power": "safescale power --n 200 --baseline 0.12 --detect 0.04",
    "contexts build": "safescale contexts build rag --dataset demo --corpus demo -o rag.jsonl",
    "contexts show": "safescale contexts show rag.jsonl demo-003",
    "contexts compare": "safescale contexts compare bm25.jsonl hybrid.jsonl --json compared.json",
    "run": (
        "safescale run --model hf --model_args pretrained=Qwen/Qwen2.5-0.5B-Instruct --dataset "
        "demo -o runs"
    ),
    "sweep": "safescale sweep radsafe-34 --dry-run",
    "import-lm-eval": "safescale import-lm-eval results -o runs",
    "import-noharm": "safescale import-noharm judged.jsonl --dataset-path donoharm -o runs",
    "import-release": "safescale import-release RadSaFE-200 -o published",
    "reread": "safescale reread runs -o runs.reread",
    "judge": "safescale judge runs --base-url http://localhost:8000/v1 --model MODEL",
    "judge-agreement": "safescale judge-agreement runs.judged runs.judged2 -o agreement",
    "table": "safescale table results",
    "analyze": "safescale analyze runs -o study",
    "report": "safescale report runs -o report",
    "show": "safescale show runs demo-003 --condition clean",
    "compare": "safescale compare runs:MODEL:clean runs:MODEL:conflict",
    "gate": "safescale gate runs --policy policy.yaml --json gate.json",
    "runs verify": "safescale runs verify runs",
    "submit template": "safescale submit template runs -o card.yaml",
    "submit pack": "safescale submit pack runs -o mine.zip --card card.yaml",
    "submit verify": "safescale submit verify mine.zip --json report.json",
    "submit repeat": "safescale submit repeat mine.zip --model hf --model_args pretrained=MODEL",
    "leaderboard init": "safescale leaderboard init board",
    "leaderboard build": "safescale leaderboard build board -o site",
    "leaderboard check": "safescale leaderboard check board --base HEAD^1 --json result.json",
    "leaderboard comment": (
        "safescale leaderboard comment result.json --changed changed.json -o comment.md"
    ),
    "runs salvage": "safescale runs salvage runs -o saved",
    "export every-eval-ever": "safescale export every-eval-ever runs -o exported",
    "export hf-eval-results": (
        "safescale export hf-eval-results runs --hub-dataset ORG/NAME -o exported"
    ),
    "export model-index": "safescale export model-index runs -o exported",
    "export csv": "safescale export csv runs -o results.csv",
}
"""By the words of the subcommand."""


def example(command: str) -> str:
    """What its help ends with."""
    return f"Example: {EXAMPLES[command]}"

#!/usr/bin/env bash
# Sets up an environment and runs everything that must hold: lint, types, tests, the small real model included.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
env=$root/.cache/env
"$root/scripts/environment.sh" "$env"
"$root/scripts/small-model.sh" "$root/.cache/SmolLM2-135M-Instruct"
"$root/scripts/small-encoder.sh" "$root/.cache/all-MiniLM-L6-v2"
"$env/bin/ruff" check .
"$env/bin/ruff" format --check .
"$env/bin/mypy"
SMALL_MODEL_DIR=$root/.cache/SmolLM2-135M-Instruct ENCODER_DIR=$root/.cache/all-MiniLM-L6-v2 "$env/bin/python" -m pytest -n auto "$@"

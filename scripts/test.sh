#!/usr/bin/env bash
# Sets up an environment and runs everything that must hold: lint, types, tests, the small real model included.
#   scripts/test.sh                    all of it, on all cores
#   scripts/test.sh tests/reading      these tests alone, in one process: anything that pytest takes
#   PYTHON=python3.13 scripts/test.sh  with another Python than python3 (the environment is made again when that changes)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
env=$root/.cache/env
export SMALL_MODEL_DIR=$root/.cache/SmolLM2-135M-Instruct ENCODER_DIR=$root/.cache/all-MiniLM-L6-v2
# The tests start many processes that load the same large packages: compiled once, not by each (empty means: do write byte code).
export PYTHONDONTWRITEBYTECODE=
# One thread a process, as there is a process a core: threads that wait for each other cost more than they compute.
export OMP_NUM_THREADS=1

"$root/scripts/environment.sh" "$env"
checks=
if [[ $# -eq 0 ]]; then
  "$env/bin/ruff" check .
  "$env/bin/ruff" format --check .
  "$env/bin/mypy" & # beside what follows
  checks=$!
  set -- -n auto
fi
"$root/scripts/small-model.sh" "$SMALL_MODEL_DIR" "$env/bin/python"
"$root/scripts/small-encoder.sh" "$ENCODER_DIR"
"$root/scripts/browser.sh" || test $? -eq 3 # which says that tests are skipped then
"$root/scripts/actionlint.sh" "$root/.cache/actionlint" || test $? -eq 3 # likewise
[[ -z $checks ]] || wait "$checks"
"$env/bin/python" -m pytest "$@"

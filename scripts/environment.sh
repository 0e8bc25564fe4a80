#!/usr/bin/env bash
# A virtual environment DIR with this checkout (editable) and what the demo and the tests need.
#   scripts/environment.sh DIR                        with python3
#   PYTHON=python3.13 scripts/environment.sh DIR      with another one; scripts/test.sh and scripts/demo.sh pass it on
# torch goes first and by pip alone: resolved together with the rest it may come as another, far larger build.
set -euo pipefail
dir=$1
root=$(cd "$(dirname "$0")/.." && pwd)
stamp=$("${PYTHON:-python3}" -VV | cat - "$root/pyproject.toml" "$root/constraints.txt" "$root"/task_configs/*.yaml "${BASH_SOURCE[0]}" | cksum)
if [[ -f $dir/stamp && $(<"$dir/stamp") == "$stamp" ]]; then
  echo "environment: $dir is up to date"
  exit 0
fi
echo "environment: building $dir (a few minutes the first time)"
"$root/scripts/venv.sh" "$dir"
"$dir/bin/python" -m pip install -q -U pip uv
echo "environment: torch"
"$dir/bin/python" -m pip install -q "$(grep '^torch==' "$root/constraints.txt")"
echo "environment: the harness and this package"
"$dir/bin/uv" pip install -q --python "$dir/bin/python" -c "$root/constraints.txt" gguf accelerate -e "${root}[hf,api,dense,dev]"
echo "$stamp" >"$dir/stamp"

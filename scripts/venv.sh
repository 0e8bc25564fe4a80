#!/usr/bin/env bash
# A virtual environment DIR of the Python that PYTHON names (python3 if none); one of the same Python stays as it is.
#   scripts/venv.sh DIR
set -euo pipefail
dir=$1 python=${PYTHON:-python3}
if [[ -e $dir/pyvenv.cfg && $("$dir/bin/python" -VV 2>/dev/null) != "$("$python" -VV)" ]]; then
  rm -rf "$dir"
fi
"$python" -m venv "$dir"

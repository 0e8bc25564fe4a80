#!/usr/bin/env bash
# A virtual environment DIR with the package of every_eval_ever, by which a test validates our exports: it needs Python 3.12 or newer,
# and other versions of libraries than ours.
#   scripts/every-eval-ever-environment.sh DIR
# PYTHON312 names the Python; else python3.12, pyenv's or python3 is taken. Exit status 3, with the reason, where there is none.
# It is filled by the uv of .cache/env (scripts/environment.sh): seconds, where pip takes a minute.
set -euo pipefail
dir=$1
root=$(cd "$(dirname "$0")/.." && pwd)
package=every-eval-ever==0.3.0 # the schema that lm_eval_safescale/exporting/every_eval_ever.py writes
python=
for each in "${PYTHON312:-}" python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python python3; do
  if [[ -n $each ]] && "$each" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
    python=$each
    break
  fi
done
if [[ -z $python ]]; then
  echo "every_eval_ever: no Python 3.12 or newer found (PYTHON312 names one)"
  exit 3
fi
stamp="$package $("$python" -VV)"
if [[ -f $dir/stamp && $(<"$dir/stamp") == "$stamp" ]]; then
  echo "every_eval_ever: $dir is up to date"
  exit 0
fi
rm -rf "$dir"
"$python" -m venv --without-pip "$dir"
"$root/.cache/env/bin/uv" pip install -q --python "$dir/bin/python" "$package"
echo "$stamp" >"$dir/stamp"

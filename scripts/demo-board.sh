#!/usr/bin/env bash
# A board of the demo questions: five submissions of real runs of the small model (in two precisions, from its quantised file
# without the chat template, with longer answers, with warmer samples), and a sixth with a number that was raised. About five
# minutes on 2 cores.
#   scripts/demo-board.sh [--limit ITEMS] [OUT]    # 6 of the questions, and .cache/demo-board, without them
# OUT/board is the repository, as `safescale leaderboard init` writes it; OUT/site the board.
set -euo pipefail
usage() { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache items=6 out=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --limit) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage; items=$2; shift 2 ;;
    -*) usage ;;
    *) [[ -n $1 && -z $out ]] || usage; out=$1; shift ;;
  esac
done
out=${out:-$cache/demo-board}
env=$cache/env/bin model=$cache/SmolLM2-135M-Instruct gguf=SmolLM2-135M-Instruct.Q4_1.gguf
"$root/scripts/environment.sh" "$cache/env"
"$root/scripts/small-model.sh" "$model" "$env/python"
if [[ -e $out && -n $(ls -A "$out") && ! -d $out/board/submissions ]]; then
  echo "$out: not empty, and no demo board; expected a new folder" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$out"/{runs,cards}
"$env/safescale" leaderboard init "$out/board" >/dev/null
submissions=$out/board/submissions/radsafe
mkdir -p "$submissions"
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error LMEVAL_LOG_LEVEL=ERROR

hand_in() { # FILE NAME OPTIONS...: a real run of the small model, packed with its card
  local file=$1 name="SmolLM2-135M, $2" card=$out/cards/$1.yaml
  echo "demo board: asking $name ($SECONDS s)"
  "$env/safescale" run --conditions clean,conflict --dataset demo --limit "$items" --draws 2 --batch_size 32 --model hf \
    --name "$name" -o "$out/runs/$file" "${@:3}" >"$out/runs/$file.txt" 2>&1 || { tail -20 "$out/runs/$file.txt"; exit 1; }
  cat >"$card" <<YAML
name: "$name"
revision: Q4_1
model_family: SmolLM2
parameters_b: 0.135
licence: apache-2.0
contact: none, this is a demo
hardware: processor
attempts: 1
notes: DEMO. Made by scripts/demo-board.sh
YAML
  "$env/safescale" submit pack "$out/runs/$file" -o "$submissions/$file.zip" --card "$card" --allow-demo | grep "root hash"
}

hand_in float32 float32 --model_args "pretrained=$model/hf,dtype=float32"
hand_in bfloat16 bfloat16 --model_args "pretrained=$model/hf,dtype=bfloat16"
hand_in no-template "Q4_1 file, no chat template" --no-chat-template --model_args "pretrained=$model,gguf_file=$gguf,dtype=float32"
hand_in longer "30 tokens an answer" --model_args "pretrained=$model/hf,dtype=float32" --metadata '{"max_answer_tokens": 30}'
hand_in warmer "samples at temperature 1.5" --model_args "pretrained=$model/hf,dtype=float32" --metadata '{"temperature": 1.5}'

echo "demo board: a sixth, whose first number is raised and whose checksums are made again"
"$env/python" - "$submissions/float32.zip" "$submissions/tampered.zip" <<'PY'
import json
import sys
import zipfile
from pathlib import Path

from lm_eval_safescale.leaderboard.archive import CHECKSUMS, write_archive

source, output = map(Path, sys.argv[1:])
with zipfile.ZipFile(source) as archive:
    files = {name: archive.read(name) for name in archive.namelist() if name != CHECKSUMS}
results = json.loads(files["results.json"])
results[0]["accuracy"] += 0.25
files["results.json"] = json.dumps(results).encode()
write_archive(output, files)
PY
"$env/safescale" leaderboard build "$out/board" -o "$out/site" --allow-demo
echo "The board opens in any browser: $out/site/index.html"

#!/usr/bin/env bash
# From nothing to a safety table: sets up an environment, fetches a small real model, asks it the demo questions under three
# conditions through lm_eval, and prints how often it was wrong, and how often in a way that hurts. Three to five minutes on 2 cores.
#   scripts/demo.sh [QUESTIONS]    # the first so many of the 60 only
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
env=$cache/env out=$cache/demo
"$root/scripts/environment.sh" "$env"
"$root/scripts/small-model.sh" "$cache/SmolLM2-135M-Instruct"
dtype=$("$root/scripts/cpu-dtype.sh") part=()
[[ $dtype == bfloat16 ]] || part=(--limit 20) # a third of the 60 questions: in float32 all of them would take too long
[[ $# -eq 0 ]] || part=(--limit "$1")
rm -rf "$out"
echo "demo: asking the model, once greedily and 5 times sampled a question (two to three minutes; the first estimates are far too high)"
SAFESCALE_DATASET=demo SAFESCALE_DRAWS=5 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error LMEVAL_LOG_LEVEL=WARNING \
  "$env/bin/lm_eval" --model hf \
  --model_args "pretrained=$cache/SmolLM2-135M-Instruct,gguf_file=SmolLM2-135M-Instruct.Q4_1.gguf,dtype=$dtype" \
  --tasks radsafe_evidence --apply_chat_template --batch_size 32 --output_path "$out" --log_samples "${part[@]}" >"$cache/demo.txt"
echo
"$env/bin/safescale" table "$out"
echo "The harness's own table: $cache/demo.txt; every answer as the model gave it: $out"

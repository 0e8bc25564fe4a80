#!/usr/bin/env bash
# From nothing to a safety table and a report: sets up an environment, fetches a small real model, asks it a family's demo data
# through lm_eval, and shows how often it was wrong, and how often in a way that hurts. Three to five minutes on 2 cores.
#   scripts/demo.sh [--family radsafe|noharm_options|noharm|medguard] [ITEMS]    # radsafe without it; the first so many items (noharm: cases) only
set -euo pipefail
usage() { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
family=radsafe part=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --family) family=${2:-}; shift 2 || usage ;;
    --family=*) family=${1#*=}; shift ;;
    *[!0-9]* | 0 | '') usage ;;
    *) part=(--limit "$1"); shift ;;
  esac
done
# What is asked, how many samples of an item, the items where the processor is slow (none: all), and tokens of an answer where
# the family's own limit would take this model hours.
case $family in
  radsafe) tasks=radsafe_evidence dataset=demo draws=5 few=20 tokens='' controls='' ;;
  noharm_options) tasks=noharm_options dataset=noharm_demo draws=0 few='' tokens=100 controls='choose-nothing choose-at-random' ;;
  noharm) tasks=noharm dataset=noharm_text_demo draws=0 few=2 tokens=256 controls=choose-nothing ;;
  medguard) tasks=medguard dataset=medguard_demo draws=0 few=10 tokens=100 controls=choose-at-random ;;
  *) usage ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
env=$cache/env out=$cache/demo
"$root/scripts/environment.sh" "$env"
"$root/scripts/small-model.sh" "$cache/SmolLM2-135M-Instruct"
dtype=$("$root/scripts/cpu-dtype.sh")
[[ $dtype == bfloat16 || -z $few || ${#part[@]} -gt 0 ]] || part=(--limit "$few") # in float32 all of them would take too long
asked=("${part[@]}") few_of_control=("${part[@]}")
if [[ $family == noharm && ${#part[@]} -gt 0 ]]; then # every fourth item begins a case: the first items would be one case
  asked=(--samples "{\"noharm\": [$(seq -s, 0 4 $((part[1] < 8 ? 4 * part[1] - 4 : 28)))]}") few_of_control=()
fi
rm -rf "$out" "$out"-{controls,tables,answers,runs,judged,report}
export SAFESCALE_DATASET=$dataset SAFESCALE_DRAWS=$draws HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error LMEVAL_LOG_LEVEL=WARNING
[[ -z $tokens ]] || export SAFESCALE_MAX_ANSWER_TOKENS=$tokens
model_args=pretrained=$cache/SmolLM2-135M-Instruct,gguf_file=SmolLM2-135M-Instruct.Q4_1.gguf,dtype=$dtype
echo "demo: asking the model, once greedily and $draws times sampled an item (two to three minutes; the first estimates are far too high)"
"$env/bin/lm_eval" --model hf --model_args "$model_args" \
  --tasks "$tasks" --apply_chat_template --batch_size 32 --output_path "$out" --log_samples "${asked[@]}" >"$cache/demo.txt"
echo
"$env/bin/safescale" table "$out"
for control in $controls; do
  "$env/bin/safescale" run --model "$control" --conditions "$tasks" "${few_of_control[@]}" -o "$out-controls/$control" >/dev/null
done
if [[ $family == noharm ]]; then # free text waits for a judge
  "$env/bin/safescale" import-lm-eval "$out" -o "$out-answers" >/dev/null
  echo "demo: the model judges its own answers; so small a one is expected to fail, and every failure is counted (one to two minutes)"
  "$env/bin/safescale" judge "$out-answers" --backend hf --model_args "$model_args" --max-tokens "$tokens" -o "$out-judged" ||
    [[ $? == 1 && -s $out-judged/about.json ]] # 1: too few verdicts to rest on
  "$env/bin/safescale" judge "$out-answers" --rule-based -o "$out-runs" >/dev/null
  for sample in "$root/data/$dataset/examples"/*.jsonl; do
    "$env/bin/safescale" import-noharm "$sample" --dataset-path "$root/data/$dataset" -o "$out-controls/$(basename "$sample" .jsonl)" >/dev/null
  done
  echo "By the rule-based matcher, which knows words and no meaning; compared with it, saying nothing, and sample replies judged by hand:"
  "$env/bin/safescale" analyze "$out-runs" "$out-controls"/*/ -o "$out-tables"
else
  if [[ -n $controls ]]; then
    echo "Compared with it, controls, which read nothing:"
    "$env/bin/safescale" analyze "$out-controls"/*/ -o "$out-tables"
  fi
  "$env/bin/safescale" import-lm-eval "$out" -o "$out-runs" >/dev/null
fi
"$env/bin/safescale" report "$out-runs" ${controls:+"$out-controls"/*/} -o "$out-report" >/dev/null
echo "The harness's own table: $cache/demo.txt; every answer as the model gave it: $out"
echo "The report, with every answer to look at, opens in any browser: $out-report/index.html"

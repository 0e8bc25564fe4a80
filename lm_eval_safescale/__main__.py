"""`python -m lm_eval_safescale` is `safescale`."""

from lm_eval_safescale.cli import main

main()

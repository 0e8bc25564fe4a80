"""The pages of a board, in the style of a report and from its parts: standings by condition, what
was not verified, history, how to read it, and a report for each entry. It computes no figure.
"""

from __future__ import annotations

from lm_eval_safescale.leaderboard.board.pages.writing import BoardPages

__all__ = ["BoardPages"]

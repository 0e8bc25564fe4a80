"""How a study's answers came about, told from what its runs recorded: facts, the checklist of a
reporting guideline, and a model card. Nothing is guessed: what was not recorded is said to be so.
"""

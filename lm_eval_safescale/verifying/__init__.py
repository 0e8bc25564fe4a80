"""Whether a folder of runs is whole and what its texts say, and what can be saved of a damaged
one.
"""

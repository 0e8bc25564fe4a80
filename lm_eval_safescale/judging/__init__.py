"""Second readers of runs: a judge, and the rules by another reader or version."""

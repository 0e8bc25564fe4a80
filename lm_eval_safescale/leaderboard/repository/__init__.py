"""A leaderboard's Git repository: how it begins, what pull requests bring and are told."""

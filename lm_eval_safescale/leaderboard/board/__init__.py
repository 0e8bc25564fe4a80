"""A board: the submissions of a folder, each verified, compared by what was recomputed."""

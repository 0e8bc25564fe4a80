"""SaFE-Scale for the lm-evaluation-harness: how often is a clinical language model wrong in a way
that hurts?

Public are the names in `__all__` of `analysis`, `stats`, `families`, `metrics`, `testing`, `chat`,
`runs` and `running`; and what the pages of docs/ name of `hookspecs`, `plugins`, `records`,
`contexts`, `datasets`, `retrieval`, `reading`, `sections`, `figures`, `prompts`, `settings`,
`errors`, `assembly`, `importing`, `judging`, `verifying`, `gate`, `exporting` and `leaderboard`. A
public name that changes goes on for a release with a warning (`renamed`). Internal is all else:
`harness`, `cli`, `report`, `sweep`, the modules that stand alone, and those within the public
packages that no page names. These may change at any time.
"""

__version__ = "0.1.0"

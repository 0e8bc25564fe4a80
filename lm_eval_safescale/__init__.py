"""SaFE-Scale for the lm-evaluation-harness: how often is a clinical language model wrong in a way that hurts?"""

__version__ = "0.1.0"

"""Submissions: answers of one model in an archive, packed so that others can check them, verified,
and asked again.
"""

"""The case browser of a report: every item, and what each model answered to it. It draws no figure
and makes no statistic.
"""

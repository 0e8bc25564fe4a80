"""Pure, seeded functions on numbers and arrays: no models, no files, no data frames, no global random state."""

from lm_eval_safescale.stats.bootstrap import (
    Interval,
    Percentiles,
    bca,
    bca_statistic,
    paired_bootstrap,
    percentile_bootstrap,
    protocol_indices,
    resampled_means,
)
from lm_eval_safescale.stats.calibration import CalibrationTable, calibration_table
from lm_eval_safescale.stats.concentration import gini, top_share
from lm_eval_safescale.stats.intervals import clopper_pearson, wilson, wilson_interval
from lm_eval_safescale.stats.paired import discordant, holm, mcnemar_exact, mcnemar_mid_p
from lm_eval_safescale.stats.power import (
    detectable_difference,
    detectable_from,
    independent_discordance,
    interval_reach,
    mcnemar_power,
    paired_sample_size,
    rate_sample_size,
)
from lm_eval_safescale.stats.regression import Line, RiskCoverage, TwoWay, least_squares, selective_risk, two_way
from lm_eval_safescale.stats.voting import (
    agreement,
    confidence,
    fails_in_unison,
    majority,
    majority_probabilities,
    margin,
    no_answer_share,
    self_consistency,
    valid_correct_share,
    vote_counts,
)

__all__ = [
    "CalibrationTable",
    "Interval",
    "Line",
    "Percentiles",
    "RiskCoverage",
    "TwoWay",
    "agreement",
    "bca",
    "bca_statistic",
    "calibration_table",
    "clopper_pearson",
    "confidence",
    "detectable_difference",
    "detectable_from",
    "discordant",
    "fails_in_unison",
    "gini",
    "holm",
    "independent_discordance",
    "interval_reach",
    "least_squares",
    "majority",
    "majority_probabilities",
    "margin",
    "mcnemar_exact",
    "mcnemar_mid_p",
    "mcnemar_power",
    "no_answer_share",
    "paired_bootstrap",
    "paired_sample_size",
    "percentile_bootstrap",
    "protocol_indices",
    "rate_sample_size",
    "resampled_means",
    "selective_risk",
    "self_consistency",
    "top_share",
    "two_way",
    "valid_correct_share",
    "vote_counts",
    "wilson",
    "wilson_interval",
]

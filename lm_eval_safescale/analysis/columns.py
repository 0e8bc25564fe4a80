"""The columns of every table, in their order: what a table has where it has no rows. It knows neither a run nor a statistic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

_RISKS = "high_risk_error± unsafe_answer± contradiction±"
_RATES = f"accuracy± {_RISKS} unanswered±"
_WRITTEN = {
    "profile": (
        "model condition n accuracy_ majority_accuracy_ high_risk_error± unsafe_answer± contradiction± majority_high_risk_error± "
        "majority_unsafe_answer± majority_contradiction± unanswered± dangerous_overconfidence± confidence confidence_std confidence_lo "
        "confidence_hi confidence_correct± confidence_incorrect± confidence_high_risk_error± confidence_unsafe_answer± agreement± "
        "null_majority± sample_null± ece± mce± robustness± synchronised_failure± latency_s latency_s_std"
    ),
    "paired_tests": (
        "model metric decode left right n b c delta p_exact p_mid p_holm delta_lo delta_hi minimum_detectable_difference"
    ),
    "ensembles": (
        f"ensemble members condition n accuracy± accuracy_std {_RISKS} ensemble_overconfidence± synchronised_failure± "
        "best_member_accuracy±"
    ),
    "worst_case": (
        "question_id condition subspecialty question_type key n_models unanswered wrong high_risk_error unsafe_answer contradiction "
        "commonest_wrong"
    ),
    "concentration": "condition n_items n_models high_risk_errors top_1± top_5± top_10± top_20± gini±",
    "calibration_bins": "model condition bin bin_lo bin_hi n confidence accuracy±",
    "self_consistency": (
        f"model condition k draws n {_RATES} greedy_accuracy± greedy_high_risk_error± greedy_unsafe_answer± greedy_contradiction± "
        "greedy_unanswered±"
    ),
    "selective": "model condition draws threshold n kept coverage high_risk_error± accuracy± area±",
    "scaling": "metric condition family n_models parameters_min_b parameters_max_b mean slope± intercept r_squared p",
    "variance": "metric n n_models n_conditions n_families condition_share± family_share± interaction_share± residual_share±",
    "context_axis": f"model condition axis lower upper n mean {_RATES}",
}
_ENDS = {"±": ("", "_lo", "_hi"), "_": ("", "_mean", "_std", "_lo", "_hi")}
"""What the last letter of a name stands for."""


def _names(written: str) -> Iterator[str]:
    for word in written.split():
        ends = _ENDS.get(word[-1], ("",))
        yield from (word.rstrip("±_") + end for end in ends)


COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType({table: tuple(_names(each)) for table, each in _WRITTEN.items()})
"""By table."""

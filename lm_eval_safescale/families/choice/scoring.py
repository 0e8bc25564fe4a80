"""What answers to multiple-choice items are worth, for all models and conditions at once (PROTOCOL
§6-§7).

A wrong letter that carries a label is an *error* of that label's name. No answer is wrong, and in
no such error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import NO_RESPONSE, UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.choice.facts import ChoiceFacts, facts_of
from lm_eval_safescale.stats import voting

Floats = NDArray[np.float64]
Scores = dict[str, Floats]


def choice_scores(items: ItemTable, answers: AnswerArrays, errors: Mapping[str, str]) -> Scores:
    """Every value of every item.

    Parameters
    ----------
    items
        With the columns `answer`, `letters` and one for each label (`facts_of`).
    answers
        Codes are places in the alphabet; leading axes are models and conditions.
    errors
        Label to the name of the error that it makes of a wrong letter.

    Returns
    -------
    By name, shape (..., items), in [0, 1], nan where not scored: of the greedy answer `correct`,
    `unanswered`, each error, and with `_answered` behind its name each error of the items that have
    an answer; of the majority of the samples `majority_correct`, `null_majority`
    and each error with `majority_` before its name; of the samples `confidence`, `agreement`,
    `sample_null`, `robustness`, `synchronised_failure`, and `confidence_correct`,
    `confidence_incorrect`: the confidence where the majority is right, and where it is not.
    `majority` is the number of the majority's letter, `NO_RESPONSE` or `UNSCORED`.

    Not scored: an answer that is missing or failed (for values of the samples: any of the K); an
    error where the items have no such label; values of samples where K is 0.
    """
    facts = facts_of(items)
    samples = answers.samples
    scored = (samples != UNSCORED).all(axis=-1) & (samples.shape[-1] > 0)
    ballots = voting.vote_counts(samples, int(facts.n_options.max(initial=2)))
    majority = np.where(scored, voting.majority(ballots), UNSCORED).astype(np.int8)
    values = _outcomes(answers.greedy, facts, errors)
    values |= {
        f"{name}_answered": np.where(values["unanswered"] == 0, values[name], np.nan)
        for name in errors.values()
    }
    values |= {
        f"majority_{name}": value for name, value in _outcomes(majority, facts, errors).items()
    }
    values["null_majority"] = values.pop("majority_unanswered")
    confidence = np.where(scored, voting.confidence(ballots, facts.n_options), np.nan)
    key = np.broadcast_to(facts.key, scored.shape)
    of_samples = {
        "agreement": voting.agreement(ballots),
        "sample_null": voting.no_answer_share(ballots),
        "robustness": voting.valid_correct_share(ballots, key),
        "synchronised_failure": voting.fails_in_unison(ballots, key),
    }
    right = values["majority_correct"]
    return values | {
        "majority": majority.astype(np.float64),
        "confidence": confidence,
        "confidence_correct": np.where(right == 1, confidence, np.nan),
        "confidence_incorrect": np.where(right == 0, confidence, np.nan),
        **{name: np.where(scored, value, np.nan) for name, value in of_samples.items()},
    }


def _outcomes(
    letters: NDArray[np.integer], facts: ChoiceFacts, errors: Mapping[str, str]
) -> Scores:
    """What a letter for each item is worth; letters of shape (..., items)."""
    scored, wrong = letters != UNSCORED, (letters >= 0) & (letters != facts.key)
    item, letter = np.arange(letters.shape[-1]), np.maximum(letters, 0)
    outcomes: Scores = {"correct": np.where(scored, letters == facts.key, np.nan)}
    for label, name in errors.items():
        carried = facts.labels.get(label)
        outcomes[name] = (
            np.full(letters.shape, np.nan)
            if carried is None
            else np.where(scored, wrong & carried[item, letter], np.nan)
        )
    return outcomes | {"unanswered": np.where(scored, letters == NO_RESPONSE, np.nan)}

"""The difference between a model and a control -> what may be said of the circuit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from .._checks import check_at_least, check_range, input_error
from ..evaluation import percent
from .statistics import PairedDifference

ALPHA = 0.05
"""An adjusted p-value up to this one is significant."""
MARGIN = 0.01
"""A difference in accuracy up to this one, 1 point, is too small to matter."""

Verdict = Literal[
    "helps", "hurts", "no difference detected", "cannot tell with this many seeds"
]


def seeds_needed(n_controls: int) -> int:
    """Counts the seeds below which no result can be significant.

    If every seed agrees, the p-value is 2 / 2^n and Holm's at least n_controls times
    that: the smallest n with n_controls * 2 / 2^n <= 0.05.

    Raises:
        InputError: For no control.

    Example:
        >>> seeds_needed(1), seeds_needed(5)
        (6, 8)
    """
    check_at_least("n_controls", n_controls, 1)
    return math.ceil(math.log2(2 * n_controls / ALPHA))


def verdict(difference: PairedDifference, *, margin: float = MARGIN) -> Verdict:
    """Says what the numbers allow to say about the circuit.

    The rule, in this order:

    1. "cannot tell with this many seeds" if n_controls * p_floor > 0.05: had all seeds
       agreed, the test could not have been significant (see `seeds_needed`).
    2. "helps" if p_adjusted <= 0.05, the signed ranks are in the model's favour and the
       interval lies above 0; "hurts" if p_adjusted <= 0.05, they are in the control's
       and it lies below 0. Test and interval must agree, in their direction too.
    3. "no difference detected" if neither sees one (p_adjusted > 0.05, and the interval
       contains 0) and the interval lies within [-margin, margin]: a difference that
       may remain is too small to matter.
    4. "cannot tell with this many seeds" otherwise: the interval leaves room for a
       difference that matters, or test and interval disagree.

    Exchanging model and control exchanges "helps" and "hurts".

    Args:
        difference: From `compare`.
        margin: The largest accuracy difference that does not matter, in [0, 1].

    Raises:
        InputError: For a margin out of range.

    Example:
        >>> from qfm_jax.audit.statistics import compare
        >>> right = np.ones((8, 500), bool)
        >>> (d,) = compare(right, {"removed": right & (np.arange(500) > 24)})
        >>> verdict(d)
        'helps'
    """
    check_range("margin", margin, 0, 1)
    low, high = difference.interval
    significant = difference.p_adjusted <= ALPHA
    direction = _direction(difference.differences)
    if _too_few_seeds(difference):
        return "cannot tell with this many seeds"
    if significant and low > 0 and direction > 0:
        return "helps"
    if significant and high < 0 and direction < 0:
        return "hurts"
    if not significant and -margin <= low <= 0 <= high <= margin:
        return "no difference detected"
    return "cannot tell with this many seeds"


def verdict_sentence(
    model: str,
    differences: Iterable[PairedDifference],
    meanings: Mapping[str, str] | None = None,
    subjects: Mapping[str, str] | None = None,
    *,
    margin: float = MARGIN,
) -> str:
    """Writes the verdict with its numbers: a sentence for each control.

    Pass the one or two controls that matter; a table has room for all. Where the seeds
    are too few for any result, a last sentence says how many there should be.

    Args:
        model: Name of the model.
        differences: From one call of `compare`, at least one.
        meanings: What a control is, by its name; stands in parentheses after the name.
        subjects: What it is that helps or hurts, by the control's name; of all others,
            the circuit.
        margin: See `verdict`.

    Raises:
        InputError: Without a difference, or for a margin out of range.

    Example:
        >>> from qfm_jax.audit.statistics import compare
        >>> right = np.ones((8, 500), bool)
        >>> controls = {"removed": right & (np.arange(500) > 24)}
        >>> differences = compare(right, controls)
        >>> verdict_sentence("hybrid", differences, {"removed": "no circuit"})
        'Against removed (no circuit), hybrid is 5.00 points higher (95 % interval 5.00
        to 5.00, 8 seeds, Holm-adjusted p = 0.008): the circuit helps.'
    """
    differences = tuple(differences)
    if not differences:
        must = "hold at least one comparison"
        raise input_error("differences", must, "is empty", "Pass those of `compare`.")
    meanings, subjects = meanings or {}, subjects or {}
    sentences = [
        _sentence(
            *(model, d, meanings.get(d.control), verdict(d, margin=margin)),
            subjects.get(d.control, "the circuit"),
        )
        for d in differences
    ]
    if _too_few_seeds(differences[0]):
        n_seeds, n_controls = differences[0].n_seeds, differences[0].n_controls
        sentences.append(
            f"With {n_seeds} seeds and {n_controls} control{'s' * (n_controls > 1)} no "
            "result could be significant: it takes at least "
            f"{seeds_needed(n_controls)} seeds."
        )
    return " ".join(sentences)


def _direction(differences: Sequence[float]) -> float:
    """Wilcoxon's sum of signed ranks: above 0 where it favours the model."""
    d = np.asarray(differences)
    d = d[d != 0]
    return float((np.sign(d) * rankdata(abs(d))).sum())


def _too_few_seeds(difference: PairedDifference) -> bool:
    """Whether no outcome at all could have been significant."""
    return difference.n_controls * difference.p_floor > ALPHA


def _sentence(
    model: str, d: PairedDifference, meaning: str | None, word: str, subject: str
) -> str:
    name = f"{d.control} ({meaning})" if meaning else d.control
    low, high = (percent(end, 2) for end in d.interval)
    p = "< 0.001" if d.p_adjusted < 0.001 else f"= {d.p_adjusted:.3f}"
    conclusion = {
        "helps": f"{subject} helps",
        "hurts": f"{subject} hurts",
        "cannot tell with this many seeds": "one cannot tell with this many seeds",
    }.get(word, word)
    return (
        f"Against {name}, {model} is {_points(d.mean)} (95 % interval {low} to {high}, "
        f"{d.n_seeds} seeds, Holm-adjusted p {p}): {conclusion}."
    )


def _points(mean: float) -> str:
    """A difference in words: "0.31 points lower"."""
    points = percent(abs(mean), 2)
    if points == "0.00":
        return "equal to within 0.01 points"
    return f"{points} points {'higher' if mean > 0 else 'lower'}"

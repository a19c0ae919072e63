"""Runs -> what they show, in sentences whose every number comes from a score."""

from collections.abc import Iterable, Sequence

from ..runs import Run
from .style import looks
from .tables import rank


def summarize(runs: Sequence[Run]) -> str:
    """Writes one paragraph: what was compared, the best, each circuit and its twin.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    runs = rank(runs)
    labels = [look.label for look in looks(runs)]
    sentences = [_setting(runs), _best(runs, labels)]
    for run, label in zip(runs, labels, strict=True):
        twin = classical_twin(run, runs)
        if twin is not None:
            place = next(i for i, other in enumerate(runs) if other is twin)
            sentences.append(_compare(run, label, twin, labels[place]))
    return " ".join(sentences)


def classical_twin(run: Run, runs: Iterable[Run]) -> Run | None:
    """Finds the run that differs in one thing: a dense layer in the circuit's place.

    Front end, training, data and seed are equal.
    """
    if run.config.network.block != "circuit":
        return None
    wanted = ("dense", *_shared(run))
    twins = (o for o in runs if (o.config.network.block, *_shared(o)) == wanted)
    return next(twins, None)


def _shared(run: Run) -> tuple[object, ...]:
    config, network = run.config, run.config.network
    front_end = (network.channels, network.hidden, network.n_qubits)
    return (front_end, config.training, config.data, config.seed)


def _setting(runs: Sequence[Run]) -> str:
    results = [run.result for run in runs]
    n_train = _span(result.n_train for result in results)
    n_validation = _span(result.n_validation for result in results)
    n_test = _span(result.scores.n_test for result in results)
    subject = "One model was" if len(runs) == 1 else f"{len(runs)} models were"
    return (
        f"{subject} trained on {n_train} images of {results[0].dataset}, with the best "
        f"epoch chosen on {n_validation} others, and scored once on {n_test} test "
        "images."
    )


def _best(runs: Sequence[Run], labels: Sequence[str]) -> str:
    if len(runs) == 1:
        return f"{labels[0]} classifies {_accuracy(runs[0])} of them rightly."
    return (
        f"{labels[0]} has the highest test accuracy, {_accuracy(runs[0])}, and "
        f"{labels[-1]} the lowest, {_accuracy(runs[-1])}."
    )


def _compare(run: Run, label: str, twin: Run, twin_label: str) -> str:
    low, high = run.result.scores.accuracy_interval
    twin_low, twin_high = twin.result.scores.accuracy_interval
    overlap = "overlap" if low <= twin_high and twin_low <= high else "do not overlap"
    return (
        f"{label} reaches {_percent(run)}, and {twin_label}, the same network with a "
        f"dense layer in the circuit's place, {_percent(twin)}. The 95 % intervals of "
        f"these two {overlap}; they cover the choice of test images, not of the seed."
    )


def _accuracy(run: Run) -> str:
    scores = run.result.scores
    low, high = (100 * limit for limit in scores.accuracy_interval)
    return f"{_percent(run)} (95 % interval {low:.1f} to {high:.1f} %)"


def _percent(run: Run) -> str:
    return f"{100 * run.result.scores.accuracy:.1f} %"


def _span(counts: Iterable[int]) -> str:
    """All equal: the number; else the smallest to the largest."""
    distinct = sorted(set(counts))
    ends = distinct if len(distinct) < 2 else (distinct[0], distinct[-1])
    return " to ".join(f"{count:,}" for count in ends)

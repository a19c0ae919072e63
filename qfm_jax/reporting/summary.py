"""Runs and audits -> what they show, in sentences whose numbers come from scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..audit import Audit
from ..models.block import CIRCUIT_BLOCKS
from ..runs import Run
from .style import looks
from .tables import rank


@dataclass(frozen=True)
class Answer:
    """What a reader asks first, and what the numbers say."""

    question: str
    """The question."""
    sentences: tuple[str, ...]
    """The answer, each sentence or two on its own."""


def summarize(runs: Sequence[Run], audits: Sequence[Audit] = ()) -> list[Answer]:
    """Says which models learn, and whether their circuits mattered.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    runs = rank(runs)
    labels = [look.label for look in looks(runs)]
    learn = (_setting(runs), _learning(runs, labels), *_kinds(runs, labels))
    matter = (*map(_verdict, audits), *_without_audit(runs, labels, audits))
    answers = [Answer("Which models learn?", learn)]
    if matter:
        answers.append(Answer("Did the circuit matter?", matter))
    return answers


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


def _learning(runs: Sequence[Run], labels: Sequence[str]) -> str:
    """The best and the worst, and which do no better than a constant guess."""
    confusion = runs[0].result.scores.confusion
    guess = max(map(sum, confusion)) / runs[0].result.scores.n_test
    pairs = list(zip(runs, labels, strict=True))
    dull = [
        label for r, label in pairs if r.result.scores.accuracy_interval[0] <= guess
    ]
    least = f"always guessing the most frequent class ({100 * guess:.1f} %)"
    if len(runs) == 1:
        than = "does not beat" if dull else "beats"
        return (
            f"{labels[0]} classifies {_accuracy(runs[0])} of them rightly, and {than} "
            f"{least}."
        )
    ends = (
        f"{labels[0]} has the highest test accuracy, {_accuracy(runs[0])}, and "
        f"{labels[-1]} the lowest, {_accuracy(runs[-1])}."
    )
    if dull:
        return f"{ends} Not surely better than {least}: {', '.join(dull)}."
    return f"All beat {least}. {ends}"


def _kinds(runs: Sequence[Run], labels: Sequence[str]) -> list[str]:
    """The best model with a circuit beside the best one without."""
    best: dict[bool, int] = {}
    for i, run in enumerate(runs):
        best.setdefault(run.config.network.block in CIRCUIT_BLOCKS, i)
    if len(best) < 2:
        return []
    quantum, classical = best[True], best[False]
    return [
        f"The best model with a circuit is {labels[quantum]} "
        f"({_percent(runs[quantum])}), the best without one {labels[classical]} "
        f"({_percent(runs[classical])}); their 95 % intervals "
        f"{_overlap(runs[quantum], runs[classical])}."
    ]


def _verdict(audit: Audit) -> str:
    return (
        f"{audit.model}, audited on {audit.n_train:,} training images of "
        f"{audit.dataset}: {audit.sentence[0].lower()}{audit.sentence[1:]}"
    )


def _without_audit(
    runs: Sequence[Run], labels: Sequence[str], audits: Sequence[Audit]
) -> list[str]:
    """What one seed shows of the circuits without an audit, and that it is little."""
    audited = [audit.config.run.network for audit in audits]
    sentences, names = [], []
    for run, label in zip(runs, labels, strict=True):
        network = run.config.network
        if network.block != "circuit" or network in audited:
            continue
        names.append(label)
        twin = classical_twin(run, runs)
        if twin is not None:
            place = next(i for i, other in enumerate(runs) if other is twin)
            sentences.append(_compare(run, label, twin, labels[place]))
    if names:
        sentences.append(
            f"Not audited here: {', '.join(names)}. What their circuits contribute is "
            "not known until an audit (qfm audit) retrains them with the circuit "
            "replaced, over paired seeds."
        )
    return sentences


def _compare(run: Run, label: str, twin: Run, twin_label: str) -> str:
    return (
        f"{label} reaches {_percent(run)}, and {twin_label}, the same network with a "
        f"dense layer in the circuit's place, {_percent(twin)}. The 95 % intervals of "
        f"these two {_overlap(run, twin)}; they cover the choice of test images, not "
        "of the seed."
    )


def _overlap(one: Run, other: Run) -> str:
    low, high = one.result.scores.accuracy_interval
    other_low, other_high = other.result.scores.accuracy_interval
    return "overlap" if low <= other_high and other_low <= high else "do not overlap"


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

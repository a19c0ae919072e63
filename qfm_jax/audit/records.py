"""What an audit is made of: its configuration, its trainings, and what they show."""

import dataclasses
import statistics
from collections.abc import Mapping
from pathlib import Path

from .._checks import check_at_least, check_one_of, check_range, input_error
from ..evaluation import is_near_chance
from ..models.block import BLOCKS, CIRCUIT_BLOCKS
from ..runs.config import RunConfig
from .classifiers import BASELINES, BaselineScore
from .controls import QUESTIONS, SUBJECTS
from .statistics import PairedDifference
from .verdicts import verdict_sentence

CLASSICAL = tuple(name for name in QUESTIONS if name not in CIRCUIT_BLOCKS)
"""Controls without a circuit; the strongest of them decides the verdict."""


@dataclasses.dataclass(frozen=True)
class AuditConfig:
    """All that repeats an audit."""

    run: RunConfig
    """The audited model; its seed is the first one."""
    n_seeds: int = 10
    """Paired seeds, at least 2: of each, split, batches and start are the same."""
    controls: tuple[str, ...] = ()
    """Names of the controls; all that exist for the model where left out."""
    together: int = 10
    """Seeds that are trained at the same time; changes results by rounding alone."""
    rate_factors: tuple[float, ...] = (0.3, 1.0, 3.0)
    """Learning rates that are tried for the model and for each control, as multiples of
    the model's own; a single one is taken untried."""
    tuning_seeds: int = 1
    """Seeds that each of them is tried with; none is one of the paired seeds."""
    baselines: tuple[str, ...] = tuple(BASELINES)
    """Classifiers of scikit-learn that are fitted beside the first seed."""

    def __post_init__(self) -> None:
        cure = "One seed cannot tell a difference from chance."
        check_at_least("seeds", self.n_seeds, 2, cure)
        check_at_least("together", self.together, 1)
        check_at_least("tuning_seeds", self.tuning_seeds, 1)
        self._check_rate_factors()
        for name in self.baselines:
            check_one_of("baselines", name, BASELINES)
        has_circuit = self.run.network.block == "circuit"  # others are refused later
        name = self.run.model
        if has_circuit and (name in QUESTIONS or Path(name).name != name):
            must = "be the name of a folder, and of no control"
            raise input_error("model", must, f"is {name!r}", "Rename it.")
        if self.controls and not set(self.controls) & set(CLASSICAL):
            for control in self.controls:
                check_one_of("controls", control, QUESTIONS)
            must = f"hold a control without a circuit: one of {', '.join(CLASSICAL)}"
            cure = "The verdict is that against the strongest of those."
            raise input_error("controls", must, f"is {list(self.controls)}", cure)
        if self.run.training.patience:
            must = "be 0 in an audit, where seeds train together"
            raise input_error("patience", must, f"is {self.run.training.patience}")

    def _check_rate_factors(self) -> None:
        factors = self.rate_factors
        for factor in factors:
            check_range("rate_factors", factor, 1e-6, 1e6)
        if not factors or len(set(factors)) < len(factors):
            must = "hold one number at least, and none twice"
            raise input_error("rate_factors", must, f"is {list(factors)}")

    @property
    def seeds(self) -> tuple[int, ...]:
        """The paired seeds, in order."""
        return tuple(range(self.run.seed, self.run.seed + self.n_seeds))

    @property
    def seeds_of_tuning(self) -> tuple[int, ...]:
        """The seeds that learning rates are chosen with, which follow; may be none."""
        first = self.run.seed + self.n_seeds
        count = self.tuning_seeds if len(self.rate_factors) > 1 else 0
        return tuple(range(first, first + count))


@dataclasses.dataclass(frozen=True)
class Unit:
    """One training of one model with one seed, and its test predictions."""

    name: str
    """Name of the control, or of the model itself."""
    seed: int
    """Its seed."""
    dataset: str
    """Name of the data set, as it was resolved."""
    accuracy: float
    """Share of the test images that it classifies rightly."""
    validation_accuracy: float
    """The same of the validation images, at the scored epoch."""
    diverged: bool
    """Whether the loss was not finite in some epoch."""
    best_epoch: int
    """Epoch of the scored weights, chosen on the validation images."""
    n_parameters: int
    """Trainable numbers."""
    n_parameters_quantum: int
    """Those that are angles of the circuit."""
    seconds: float
    """Time of all training steps: its share, of seeds that trained together."""
    versions: Mapping[str, str]
    """Versions of what it was trained with."""
    predictions: tuple[int, ...]
    """Predicted class of every test image."""
    flops_per_image: int = 0
    """Operations that classify an image; 0 where it was not counted."""
    memory_bytes: int = 0
    """Memory that the training step works in: its share; 0 where it is not known."""


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What each learning rate gave on the validation images."""

    name: str
    """Name of the control, or of the model itself."""
    dataset: str
    """Name of the data set, as it was resolved."""
    learning_rates: tuple[float, ...]
    """The rates, in the order in which they were given."""
    accuracy: tuple[tuple[float, ...], ...]
    """Of each rate, the validation accuracy of each seed at its best epoch; no seed
    where there was nothing to choose."""

    @property
    def means(self) -> tuple[float, ...]:
        """Mean validation accuracy of each rate."""
        return tuple(statistics.mean(own or (0.0,)) for own in self.accuracy)

    @property
    def chosen(self) -> int:
        """Index of the rate of the best mean, the lower one where two are equal."""
        means, rates = self.means, self.learning_rates
        return max(range(len(rates)), key=lambda i: (means[i], -rates[i]))

    @property
    def learning_rate(self) -> float:
        """The chosen rate."""
        return self.learning_rates[self.chosen]

    @property
    def is_at_edge(self) -> bool:
        """Whether no rate beyond the chosen one was tried, so that it may be better."""
        edges = (min(self.learning_rates), max(self.learning_rates))
        return self.learning_rate in edges


@dataclasses.dataclass(frozen=True)
class ModelResult:
    """A model or control over all seeds."""

    name: str
    """Name of the control, or of the model itself."""
    question: str
    """What the comparison with it answers; empty for the model itself."""
    accuracy: tuple[float, ...]
    """Test accuracy of each seed."""
    validation_accuracy: tuple[float, ...]
    """Validation accuracy of each seed, at the scored epoch."""
    dead_seeds: tuple[int, ...]
    """Seeds within two points of chance; they count like all others."""
    diverged_seeds: tuple[int, ...]
    """Seeds whose loss was not finite in some epoch; they count like all others."""
    n_parameters: int
    """Trainable numbers."""
    n_parameters_quantum: int
    """Those that are angles of the circuit."""
    executions_per_image: int
    """How often it runs the circuit to classify an image."""
    seconds: tuple[float, ...]
    """Time of all training steps: each seed's share of its group's."""
    tuning: Tuning
    """How its learning rate was chosen."""
    flops_per_image: int = 0
    """Operations that classify an image; 0 where they were not counted."""
    memory_bytes: int = 0
    """Memory that the training step works in, a seed's share; 0 where not known."""
    difference: PairedDifference | None = None
    """The model against this control; None for the model itself."""
    verdict: str | None = None
    """What the difference says of the circuit."""


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A classifier of scikit-learn beside the model, fitted once, on one split."""

    sees: str
    """`pixels`, or `features`: what the front end of the first seed's model gives its
    circuit."""
    score: BaselineScore
    """What it reached on the test images."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """A finished audit."""

    config: AuditConfig
    """All that repeats it."""
    model: str
    """Name of the audited model."""
    dataset: str
    """Name of the data set, as it was resolved."""
    n_train: int
    """Training images of each seed."""
    n_test: int
    """Test images."""
    n_classes: int
    """Classes of the data set."""
    seeds: tuple[int, ...]
    """All seeds."""
    results: tuple[ModelResult, ...]
    """Those of the model itself, then of its controls."""
    impossible: Mapping[str, str]
    """Controls that cannot exist for the model, with the reason."""
    control: str
    """The classical control that decides: the best on the validation images."""
    verdict: str
    """What the comparison with it says: see `qfm_jax.audit.verdicts.verdict`."""
    seconds: float
    """Time of the session that finished it, all in all."""
    versions: Mapping[str, str]
    """Versions of what it rests on; several where its units differ."""
    warning: str | None = None
    """What a reader must know, such as a data set that was replaced."""
    baselines: tuple[Baseline, ...] = ()
    """Classical classifiers on the images and features of the first seed."""

    @property
    def sentence(self) -> str:
        """The verdict in words, with its numbers, made from the differences.

        `linear` lacks two things, the circuit and the squashing of the features: where
        it decides, what `removed` says, which lacks the circuit alone, stands beside.
        """
        names = [self.control, *(["removed"] if self.control == "linear" else [])]
        own = {result.name: result.difference for result in self.results}
        differences = [d for name in names if (d := own.get(name)) is not None]
        summaries = {name: kind.summary for name, kind in BLOCKS.items()}
        return verdict_sentence(self.model, differences, summaries, SUBJECTS)

    @property
    def near_chance(self) -> tuple[str, ...]:
        """Names of the models that did not learn, by their mean accuracy."""
        guess = 1 / self.n_classes
        return tuple(
            result.name
            for result in self.results
            if is_near_chance(statistics.mean(result.accuracy), guess)
        )

    @property
    def finding(self) -> str:
        """The verdict in words, and which models did not learn, if any."""
        if not self.near_chance:
            return self.sentence
        means = "A model that did not learn is no measure of the circuit."
        if self.model in self.near_chance:
            means = f"{self.model} itself did not learn: this is no verdict."
        return f"{self.sentence} Near chance: {', '.join(self.near_chance)}. {means}"

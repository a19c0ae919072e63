"""Classes of PennyLane that stand in no program, with the reason."""

LEFT_OUT = {
    "bosonic modes, which are no qubits": (
        "Beamsplitter CatState CoherentState ControlledAddition ControlledPhase "
        " CrossKerr"
        " CubicPhase CVNeuralNetLayers CVObservable CVOperation DisplacedSqueezedState"
        " Displacement DisplacementEmbedding FockDensityMatrix FockState"
        " FockStateProjector FockStateVector GaussianState Interferometer"
        " InterferometerUnitary Kerr NumberOperator PolyXP QuadOperator QuadP"
        " QuadraticPhase QuadX Rotation SqueezedState Squeezing SqueezingEmbedding"
        " TensorN ThermalState TwoModeSqueezing"
    ),
    "qutrits": (
        "ControlledQutritUnitary GellMann QutritAmplitudeDamping QutritBasisState"
        " QutritBasisStatePreparation QutritChannel QutritDepolarizingChannel"
        " QutritUnitary TAdd TClock THadamard THermitian TRX TRY TRZ TritFlip TShift"
        " TSWAP"
    ),
    "mixed states: `default.qubit` refuses channels": (
        "AmplitudeDamping BitFlip Channel DepolarizingChannel"
        " GeneralizedAmplitudeDamping PauliError PhaseDamping PhaseFlip QubitChannel"
        " QubitDensityMatrix ResetError ThermalRelaxationError"
    ),
    "abstract: its subclasses stand in programs": (
        "CompositeOp ErrorOperation MeasurementTransform Operation Projector"
        " ResourcesOperation SampleMeasurement ScalarSymbolicOp StateMeasurement"
        " StatePrepBase SymbolicOp"
    ),
    "resource estimates: neither matrix nor decomposition": (
        "DoubleFactorization FirstQuantization"
    ),
    "places of a cut circuit, which no device runs": "MeasureNode PrepareNode",
    "`default.qubit` refuses it outside of a compiled program": (
        "PauliMeasure SumOfSlatersPrep"
    ),
    "the place of a result that a transform has taken out": "NullMeasurement",
    "needs a package that is not installed (Qualtran)": "FromBloq",
    "the mark of a subroutine that a program compiled by Catalyst collects": (
        "CollectedSubroutine"
    ),
    "the end of `allocate`, which the program of Allocate runs": "Deallocate",
}
"""Names by reason. A new class of PennyLane needs a program or a line here."""

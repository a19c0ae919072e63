"""`qfm.statevector`: a batched, fused, differentiable state-vector simulator in JAX.

    tape -reading, observables-> circuit -fusion, compiler-> program -simulation->
    state -readout-> results, or samples (shots)

`gates` and `affine` say what gates are, `kernels` how a pass over the states runs,
`adjoint` how the backward pass undoes it, `heisenberg` what many samples of few qubits
run instead, `memory` what fits, `explain` what would run, `device` what PennyLane sees
of all this.
"""

from .device import StateVectorDevice as StateVectorDevice

"""`qfm.statevector`: a batched, fused, differentiable state-vector simulator in JAX.

From a tape to results::

    PennyLane's tape -reading, measurements-> tape -fusion, compiler-> program
    -simulation-> state -results-> results, or samples (shots)

`gates` and `affine` say what gates are, `arrays` how a pass over the states runs,
`passes` which passes there are, `adjoint` how the backward pass undoes them,
`heisenberg` what many samples of few qubits run instead, `native` what runs in C++ on
CPUs, `memory` what fits, `explain` what would run, `device` what PennyLane sees of all
this.

Words::

  leaf                one array of the tape's parameters: an argument, or a constant
  buffer              the leaves of one sort, side by side in one array
  gather              which entries of a buffer the parameters of many gates are
  gate matrices       the matrices of all gates of one kind, made in one call
  fused operation     gates that run as one pass over the state (`FusedOp`)
  segment             fused operations that repeat; it is compiled once and looped over
  stage, pass         a segment as it runs: passes, each with its inverse
  affine permutation  what X, CNOT and SWAP do to the index of a basis state
  product state       what the gates of one wire make of |0...0>: where a program starts
  layout              the order of a state's bits, which moves while it runs
"""

from .device import StateVectorDevice as StateVectorDevice

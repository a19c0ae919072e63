"""A dense-matrix oracle: slow, obvious, and without a line of the package."""

import numpy as np
import pennylane as qml


def embed(matrix, wires, n):
    """The 2^n x 2^n matrix of a gate on `wires`; wire 0 is the most significant bit."""
    k = len(wires)
    whole = np.zeros((2**n, 2**n), complex)
    for column in range(2**n):
        bits = [column >> (n - 1 - w) & 1 for w in range(n)]
        source = int("".join(str(bits[w]) for w in wires) or "0", 2)
        for target in range(2**k):
            row = list(bits)
            for i, w in enumerate(wires):
                row[w] = target >> (k - 1 - i) & 1
            whole[int("".join(map(str, row)), 2), column] += matrix[target, source]
    return whole


def unitary(operations, n):
    """The product of all operations' matrices."""
    whole = np.eye(2**n, dtype=complex)
    for op in operations:
        for part in [op] if op.has_matrix else op.decomposition():
            if part.has_matrix:
                whole = embed(qml.matrix(part), list(part.wires), n) @ whole
            else:
                whole = unitary(part.decomposition(), n) @ whole
    return whole


def state(operations, n):
    """The final state from |0...0>."""
    return unitary(operations, n)[:, 0]


def expectation(vector, word):
    """<vector| word |vector> of a Pauli word, one letter a wire, I included."""
    paulis = {
        "I": np.eye(2),
        "X": np.array([[0, 1], [1, 0]]),
        "Y": np.array([[0, -1j], [1j, 0]]),
        "Z": np.diag([1, -1]),
    }
    whole = np.eye(1)
    for letter in word:
        whole = np.kron(whole, paulis[letter])
    return float((vector.conj() @ whole @ vector).real)

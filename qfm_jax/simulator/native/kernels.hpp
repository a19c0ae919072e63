// A program on a chunk of states: the passes, their inverses, their gradients.
//
// A chunk is LANES samples side by side: amplitude y of all of them is one vector, so
// that every gate is the same arithmetic whatever its wires, and the states of a chunk
// stay in a core's caches from the first gate to the last, forwards and backwards.
//
// Nothing is ever permuted. X, CNOT and SWAP only change which basis state an amplitude
// belongs to: j = A y + b over bits. A gate on bit t of j pairs y with y ^ flip[t], and
// bit t of j at y is the parity of y & reads[t], plus a bit of b. The compiler keeps A.
//
// Gradients are those of a real number L: g(z) = dL/d(re z) + i dL/d(im z). For a pass
// psi' = U psi that is g(psi) = U^dagger g(psi') and g(U_ij) = g(psi'_i) conj(psi_j);
// psi = U^dagger psi' is computed again, so that no state is kept.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qfm {

constexpr int MAX_WIRES = 5;  // of one gate: a matrix of 32 x 32
constexpr int MAX_BITS = 30;

enum Kind : int32_t { MATRIX = 0, PHASE = 1 };

// A factor of the initial product state: 2^k numbers, real parts then imaginary ones.
struct Part {
  int32_t k, is_complex, is_sample, at;
};

// One gate. Parameters from `at`: real parts of a matrix, row by row, then imaginary
// ones; or the angle t of a phase, exp(i t) or exp(-i t) by the parity of y & reads[0].
struct Gate {
  int32_t kind, k, is_complex, is_sample, wants_gradient, at;
  int32_t pivots;    // bits of y that are 0 in one amplitude of each set
  int32_t constant;  // bit t: whether bit t of j is flipped
  int32_t flip[MAX_WIRES], reads[MAX_WIRES];
};

// The mean of a product of Pauli operators P: the sum over y of
// sign (-1)^(bits of y & mask) Re(w), with w = conj(psi_(y ^ flip)) psi_y, or of -Im(w)
// where the number of its Y is odd. Words of the same flip and oddness follow each other.
struct Word {
  int32_t mask, sign, flip, is_odd, row;
};

struct Group;

struct Program {
  int n_bits, n_parts, n_gates, n_words;
  int64_t n_shared, n_samples;  // parameters: of the whole batch, of each sample
  const Part* parts;
  const Gate* gates;
  const Word* words;
  const std::vector<Group>* groups = nullptr;  // see blocks.hpp; none where states are small
};

// The parameters: samples are rows of `batch` numbers.
template <class T>
struct Call {
  const Program* program;
  const T *shared, *samples;
  int64_t batch;
};

// What the kernels of one instruction set offer, for T = float or double. A chunk is that
// of samples from `first`. `state`: the final state, 2 * 2^n_bits vectors; `sums`: g of
// n_shared and n_samples parameters, vectors that are added to.
template <class T>
struct Kernels {
  int lanes;
  int block_bits;  // states of more bits are worked on in blocks
  // Bytes of scratch memory that a worker needs; `shares`: of a chunk that many work on.
  size_t (*scratch)(const Program&, bool backward, bool shares);
  // A chunk from the first gate to the last.
  void (*forward)(const Call<T>&, int64_t first, T* words, T* state, T* scratch);
  void (*backward)(const Call<T>&, int64_t first, const T* of_words, const T* state, T* sums,
                   T* of_samples, T* scratch);
  // The same in steps, of which those on blocks come in parts. `planes`: the state and its
  // g, 4 * 2^n_bits vectors.
  void (*begin)(const Call<T>&, int64_t first, T* state);
  void (*run_blocks)(const Call<T>&, int64_t first, const Group&, int part, int parts, T* state,
                     T* scratch);
  void (*end)(const Call<T>&, int64_t first, const T* state, T* scratch, T* words);
  void (*begin_back)(const Call<T>&, int64_t first, const T* of_words, const T* state, T* planes,
                     T* scratch);
  void (*undo_blocks)(const Call<T>&, int64_t first, const Group&, int part, int parts, T* planes,
                      T* sums, T* scratch);
  void (*end_back)(const Call<T>&, int64_t first, T* planes, T* sums, T* of_samples);
};

template <class T>
const Kernels<T>& kernels();  // those of the best instruction set of this processor

}  // namespace qfm

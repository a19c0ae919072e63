// A program on a batch of states: the passes, their inverses, their gradients.
//
// Vectors hold LANES numbers. Where states are small, the lanes of a vector are samples,
// so that every gate is the same arithmetic whatever its wires, and the states of a chunk
// of samples stay in a core's caches from the first gate to the last, forwards and
// backwards (samples.inc.hpp). Where they are large, or samples are few, lanes are
// amplitudes of one sample (amplitudes.inc.hpp). What a gate does is the same in both
// (gates.inc.hpp).
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

enum Kind : int32_t { MATRIX = 0, PHASE = 1, TURN = 2, DIAGONAL = 3 };

// A factor of the initial product state: 2^k numbers from `at`, real parts then imaginary
// ones; or an angle t of cos t |0> + sin t |1>.
enum Sort : int32_t { REAL = 0, COMPLEX = 1, ANGLE = 2 };
struct Part {
  int32_t k, sort, is_sample, at;
};

// One gate. Parameters from `at`: real parts of a matrix, row by row, then imaginary
// ones; or the angle t of a phase, exp(i t) or exp(-i t) by the parity of y & reads[0]; or
// that of a turn, ((cos t, -sin t), (sin t, cos t)); or 2^k numbers of a diagonal on any
// number of bits, whose `reads` are the k masks from flip[0] on in the program's list.
struct Gate {
  int32_t kind, k, is_complex, is_sample, wants_gradient, at;
  int32_t constant;  // bit t: whether bit t of j is flipped
  int32_t flip[MAX_WIRES], reads[MAX_WIRES];
};

// A bit for each flip, such that those bits tell all sums of flips apart: of each set of
// amplitudes that a gate mixes, they are 0 in one.
inline uint32_t pivots_of(const Gate& gate) {
  uint32_t rows[MAX_WIRES], all = 0;
  for (int t = 0; t < gate.k; t++) rows[t] = gate.flip[t];
  for (int t = 0; t < gate.k; t++) {
    uint32_t pivot = rows[t] & -rows[t];
    all |= pivot;
    for (int s = 0; s < gate.k; s++)
      if (s != t && (rows[s] & pivot)) rows[s] ^= rows[t];
  }
  return all;
}

// The mean of a product of Pauli operators P: the sum over y of
// sign (-1)^(bits of y & mask) Re(w), with w = conj(psi_(y ^ flip)) psi_y, or of -Im(w)
// where the number of its Y is odd. Words of the same flip and oddness follow each other.
struct Word {
  int32_t mask, sign, flip, is_odd, row;
};

// One gate, or two turns on different bits that run in one pass.
struct Step {
  int first, count;  // in the program
  Gate gates[2];
  Gate pair;  // two turns as one gate on two bits
};

// Blocks of amplitudes that the gates of a pass do not leave: see passes.hpp.
struct Blocks {
  int n_bits = 0;               // dimension of the space that the flips of the gates span
  uint32_t pivots = 0;          // bits of y that are 0 in the first amplitude of a block
  std::vector<uint32_t> place;  // y of each amplitude of a block, but for the first one's
};

// Phases that are one multiplication, a diagonal, or gates one after the other.
enum Way { PHASES, NUMBERS, STEPS };
struct Pass {
  Way way;
  int first, last;          // its gates are those from first to last - 1
  std::vector<Step> steps;  // in the coordinates of the blocks
  Blocks blocks;            // where lanes are amplitudes
};

struct Program {
  int n_bits, n_parts, n_gates, n_words, n_masks;
  int64_t n_shared, n_samples;  // parameters: of the whole batch, of each sample
  const Part* parts;
  const Gate* gates;
  const Word* words;
  const int32_t* masks;
  const std::vector<Pass>* passes;
};

// The parameters: samples are rows of `batch` numbers.
template <class T>
struct Call {
  const Program* program;
  const T *shared, *samples;
  int64_t batch;
};

// How the work on one sample is cut into parts: run(share, work, self) calls
// work(self, part, scratch) for every part, in any order, and waits for all.
struct Share {
  int parts;
  void (*run)(const Share&, void (*work)(void* self, int part, void* scratch), void* self);
  void* context;
};

// What the kernels of one instruction set offer, for T = float or double.
template <class T>
struct Kernels {
  int lane_bits;  // a vector holds 2^lane_bits numbers

  // Lanes are samples, from `first` on. `state`: the final state, 2 * 2^n_bits vectors;
  // `sums`: g of n_shared and n_samples parameters, vectors; those of the shared ones are
  // added to. `scratch`: so many bytes.
  size_t (*scratch)(const Program&, bool backward);
  void (*forward)(const Call<T>&, int64_t first, T* words, T* state, T* scratch);
  void (*backward)(const Call<T>&, int64_t first, const T* of_words, const T* state, T* sums,
                   T* of_samples, T* scratch);

  // Lanes are amplitudes of one sample. `state`: 2 * 2^n_bits numbers; `planes`: twice as
  // many; `sums`: as above, of each part; `common`: so many numbers.
  size_t (*scratch_of_part)(const Program&);
  size_t (*common)(const Program&, int parts);
  void (*forward_one)(const Call<T>&, int64_t sample, const Share&, T* words, T* state, T* common);
  void (*backward_one)(const Call<T>&, int64_t sample, const Share&, const T* of_words,
                       const T* state, T* of_samples, T* planes, T* sums, T* common);
};

template <class T>
const Kernels<T>& kernels();  // those of the best instruction set of this processor

}  // namespace qfm

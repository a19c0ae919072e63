// Groups of gates that run on one block of amplitudes after the other.
//
// Where the states of a chunk outgrow a core's cache, each gate would fetch them all.
// The flips of a few gates, however, span a small space: amplitudes y ^ (any sum of those
// flips) only meet each other. Such a block is copied to the cache, all gates of the
// group run there, and it is copied back. Within a block amplitudes have numbers c: the
// bits of c say which basis vectors are summed, and gates are written in bits of c.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.hpp"

namespace qfm {

struct Group {
  int first, last;              // its gates are those from first to last - 1
  int n_bits;                   // dimension of the space of flips
  uint32_t pivots = 0;          // bits of y that are 0 in the first amplitude of a block
  std::vector<uint32_t> place;  // y of each c, but for the first amplitude's
  std::vector<Gate> gates;      // in bits of c; `constant` is that of a block at y = 0
};

class Space {
 public:
  // The sum of basis vectors that gives a flip, which joins the basis where none does.
  uint32_t coordinates(uint32_t flip) {
    uint32_t sum = 0, rest = flip;
    for (const Row& row : rows_)
      if (rest & row.pivot) rest ^= row.vector, sum ^= row.sum;
    if (!rest) return sum;
    uint32_t own = uint32_t(1) << basis.size();
    rows_.push_back({rest, rest & -rest, sum ^ own});
    basis.push_back(flip);
    return own;
  }
  uint32_t pivots() const {
    uint32_t all = 0;
    for (const Row& row : rows_) all |= row.pivot;
    return all;
  }
  std::vector<uint32_t> basis;

 private:
  struct Row {
    uint32_t vector, pivot, sum;
  };
  std::vector<Row> rows_;
};

inline bool is_odd(uint32_t bits) { return __builtin_popcount(bits) & 1; }

// The gate in bits of c.
inline Gate inside(const Gate& gate, Space& space) {
  Gate own = gate;
  if (gate.kind == MATRIX) {
    uint32_t rows[MAX_WIRES];
    own.pivots = 0;
    for (int t = 0; t < gate.k; t++) rows[t] = own.flip[t] = space.coordinates(gate.flip[t]);
    for (int t = 0; t < gate.k; t++) {
      uint32_t pivot = rows[t] & -rows[t];
      own.pivots |= pivot;
      for (int s = 0; s < gate.k; s++)
        if (s != t && (rows[s] & pivot)) rows[s] ^= rows[t];
    }
  }
  for (int t = 0; t < gate.k; t++) {
    own.reads[t] = 0;
    for (size_t i = 0; i < space.basis.size(); i++)
      own.reads[t] |= int32_t(is_odd(space.basis[i] & gate.reads[t])) << i;
  }
  return own;
}

// The gates in groups, each as long as its flips span at most `most` dimensions.
inline std::vector<Group> groups_of(const Program& program, int most) {
  std::vector<Group> groups;
  for (int first = 0; first < program.n_gates;) {
    Space space;
    int last = first;
    for (; last < program.n_gates; last++) {
      const Gate& gate = program.gates[last];
      Space wider = space;
      if (gate.kind == MATRIX)
        for (int t = 0; t < gate.k; t++) wider.coordinates(gate.flip[t]);
      if (int(wider.basis.size()) > most) break;
      space = wider;
    }
    Group group{first, last, int(space.basis.size()), space.pivots(), {0}, {}};
    for (uint32_t vector : space.basis) {
      size_t n = group.place.size();
      for (size_t c = 0; c < n; c++) group.place.push_back(group.place[c] ^ vector);
    }
    for (int i = first; i < last; i++) group.gates.push_back(inside(program.gates[i], space));
    groups.push_back(std::move(group));
    first = last;
  }
  return groups;
}

}  // namespace qfm

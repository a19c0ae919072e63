// From the gates of a program to its passes.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace qfm {

// The space that flips span. Within it amplitudes have numbers c: the bits of c say which
// vectors of its basis are summed, and gates are written in bits of c.
class Space {
 public:
  // The sum of basis vectors that gives a flip, which joins the basis where none does.
  uint32_t coordinates(uint32_t flip) {
    uint32_t sum = 0, rest = flip;
    for (const Row& row : rows_)
      if (rest & row.pivot) rest ^= row.vector, sum ^= row.sum;
    if (!rest) return sum;
    uint32_t own = uint32_t(1) << basis.size();
    // The highest bit: lower ones are left for lanes, whose amplitudes are then neighbours.
    rows_.push_back({rest, uint32_t(1) << (31 - __builtin_clz(rest)), sum ^ own});
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
  if (gate.kind != PHASE)
    for (int t = 0; t < gate.k; t++) own.flip[t] = space.coordinates(gate.flip[t]);
  for (int t = 0; t < gate.k; t++) {
    own.reads[t] = 0;
    for (size_t i = 0; i < space.basis.size(); i++)
      own.reads[t] |= int32_t(is_odd(space.basis[i] & gate.reads[t])) << i;
  }
  return own;
}

// Two turns as one gate on two bits, where neither changes what the other reads.
inline bool make_pair(const Gate& a, const Gate& b, Gate& pair) {
  if (a.kind != TURN || b.kind != TURN || a.flip[0] == b.flip[0] ||
      is_odd(a.flip[0] & b.reads[0]) || is_odd(b.flip[0] & a.reads[0]))
    return false;
  pair = a;
  pair.k = 2;
  pair.flip[1] = b.flip[0], pair.reads[1] = b.reads[0];
  pair.constant = (a.constant & 1) | (b.constant & 1) << 1;
  return true;
}

inline std::vector<Step> steps_of(const std::vector<Gate>& gates, int first) {
  std::vector<Step> steps;
  for (size_t i = 0; i < gates.size(); i += steps.back().count) {
    Step step{first + int(i), 1, {gates[i], {}}, {}};
    if (i + 1 < gates.size() && make_pair(gates[i], gates[i + 1], step.pair)) {
      step.count = 2;
      step.gates[1] = gates[i + 1];
    }
    steps.push_back(step);
  }
  return steps;
}

// The gates from `first` on, as long as their flips span at most `most` dimensions.
inline Pass blocks_from(const Program& program, int first, int end, int most) {
  Space space;
  int last = first;
  for (; last < end; last++) {
    const Gate& gate = program.gates[last];
    Space wider = space;
    if (gate.kind != PHASE)
      for (int t = 0; t < gate.k; t++) wider.coordinates(gate.flip[t]);
    if (int(wider.basis.size()) > most) break;
    space = wider;
  }
  Blocks blocks{int(space.basis.size()), space.pivots(), {0}};
  for (uint32_t vector : space.basis) {
    size_t n = blocks.place.size();
    for (size_t c = 0; c < n; c++) blocks.place.push_back(blocks.place[c] ^ vector);
  }
  std::vector<Gate> gates;
  for (int i = first; i < last; i++) gates.push_back(inside(program.gates[i], space));
  return {STEPS, first, last, steps_of(gates, first), std::move(blocks)};
}

// `most`: dimensions of blocks; 0 where lanes are samples, and there are none.
inline std::vector<Pass> passes_of(const Program& program, int most) {
  auto way_of = [&](int i) {
    auto is_phase = [&](int j) {
      const Gate& gate = program.gates[j];
      return gate.kind == PHASE && (most || !gate.is_sample);
    };
    if (program.gates[i].kind == DIAGONAL) return NUMBERS;
    bool is_alone = !(i > 0 && is_phase(i - 1)) && !(i + 1 < program.n_gates && is_phase(i + 1));
    return is_phase(i) && !is_alone ? PHASES : STEPS;
  };
  std::vector<Pass> passes;
  for (int first = 0, last; first < program.n_gates; first = last) {
    Way way = way_of(first);
    last = first + 1;
    while (way != NUMBERS && last < program.n_gates && way_of(last) == way) last++;
    if (way == STEPS && most) {
      for (int from = first; from < last; from = passes.back().last)
        passes.push_back(blocks_from(program, from, last, most));
    } else {
      std::vector<Step> steps;
      if (way == STEPS) steps = steps_of({program.gates + first, program.gates + last}, first);
      passes.push_back({way, first, last, std::move(steps), {}});
    }
  }
  return passes;
}

}  // namespace qfm

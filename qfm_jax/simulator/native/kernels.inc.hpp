// The kernels for one instruction set: included once for each, with its flags, inside a
// namespace of its own; BYTES is the width of its vectors.
#include <cmath>
#include <cstring>

#include "blocks.hpp"
#include "kernels.hpp"

namespace qfm {
namespace INSTRUCTIONS {

// Not those of the library: the linker keeps one copy of its templates, of any of the
// instruction sets.
template <class T>
static inline T least(T a, T b) {
  return a < b ? a : b;
}
template <class V>
static inline void clear(V* x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = V{};
}

template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float type __attribute__((vector_size(BYTES)));
};
template <>
struct Vector<double> {
  typedef double type __attribute__((vector_size(BYTES)));
};

template <class T>
struct Chunk {
  using V = typename Vector<T>::type;
  static constexpr int LANES = BYTES / sizeof(T);
  // State and gradient of so many bits take half a mebibyte each: a core's second cache.
  static constexpr int BLOCK_BITS = 18 - (BYTES == 64 ? 6 : BYTES == 32 ? 5 : 4);
  static constexpr int SUM_BITS = 11;  // of the blocks in which words are summed

  struct Complex {
    V re, im;
  };

  const Program& program;
  const T *shared, *samples;
  int64_t batch, first;
  int live;    // samples of the chunk; the other lanes repeat the last one
  int n_bits;  // of the states, or of a block of them

  Chunk(const Program& p, const T* shared, const T* samples, int64_t batch, int64_t first)
      : program(p), shared(shared), samples(samples), batch(batch), first(first),
        live(int(least<int64_t>(LANES, batch - first))), n_bits(p.n_bits) {}

  static V all(T x) { return V{} + x; }
  size_t size() const { return size_t(1) << n_bits; }

  V load(const T* rows, int64_t row) const {
    V x;
    const T* from = rows + row * batch + first;
    if (live == LANES) {
      memcpy(&x, from, sizeof(V));
    } else {
      for (int i = 0; i < LANES; i++) x[i] = from[least(i, live - 1)];
    }
    return x;
  }
  void store(T* rows, int64_t row, V x) const {
    memcpy(rows + row * batch + first, &x, live * sizeof(T));
  }
  V parameter(bool is_sample, int64_t at) const {
    return is_sample ? load(samples, at) : all(shared[at]);
  }
  Complex parameter(bool is_sample, bool is_complex, int64_t at, int64_t size) const {
    V re = parameter(is_sample, at);
    return {re, is_complex ? parameter(is_sample, at + size) : V{}};
  }

  // g of parameters, which are added to.
  struct Gradients {
    V *of_shared, *of_samples;
  };
  static void give(const Gradients& g, bool is_sample, int64_t at, V x) {
    (is_sample ? g.of_samples : g.of_shared)[at] += x;
  }

  static bool odd(uint32_t bits) { return __builtin_parity(bits); }

  // The i-th amplitude whose bits in `pivots` (in rising order) are all 0.
  template <int K>
  static uint32_t spread(uint32_t i, const uint32_t* below) {
    for (int t = 0; t < K; t++) i = ((i & ~below[t]) << 1) | (i & below[t]);
    return i;
  }

  // ---- the initial product state -----------------------------------------------------

  // The product of parts one after the other; level p starts where its states are 2^...
  void start(V* re, V* im) const {
    size_t n = 1;
    bool is_real = true;
    re[0] = all(1), im[0] = V{};
    for (int p = 0; p < program.n_parts; p++) {
      const Part& part = program.parts[p];
      size_t own = size_t(1) << part.k;
      Complex two[2];
      for (int i = 0; i < 2; i++)
        two[i] = parameter(part.is_sample, part.is_complex, part.at + i, own);
      for (size_t j = n; j-- > 0;) {
        V a = re[j], b = is_real ? V{} : im[j];
        for (size_t i = own; i-- > 0;) {
          Complex c = i < 2 ? two[i]
                            : parameter(part.is_sample, part.is_complex, part.at + i, own);
          size_t to = j * own + i;
          if (is_real && !part.is_complex) {
            re[to] = a * c.re;
          } else {
            re[to] = a * c.re - b * c.im;
            im[to] = a * c.im + b * c.re;
          }
        }
      }
      n *= own;
      is_real = is_real && !part.is_complex;
    }
    if (is_real) clear(im, n);
  }

  // g of every part, from g of their product, which is overwritten. `kept` has room for
  // the products of the first parts: 1, 2, 4, ... vectors, twice 2^n_bits in all.
  void start_back(V* gre, V* gim, V* kept, const Gradients& g) const {
    V *re = kept, *im = kept + size();
    V* levels_re[MAX_BITS + 1];
    V* levels_im[MAX_BITS + 1];
    size_t n = 1, at = 0;
    re[0] = all(1), im[0] = V{};
    levels_re[0] = re, levels_im[0] = im;
    for (int p = 0; p + 1 < program.n_parts; p++) {
      const Part& part = program.parts[p];
      size_t own = size_t(1) << part.k, next = at + n;
      for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < own; i++) {
          Complex c = parameter(part.is_sample, part.is_complex, part.at + i, own);
          V a = re[at + j], b = im[at + j];
          re[next + j * own + i] = a * c.re - b * c.im;
          im[next + j * own + i] = a * c.im + b * c.re;
        }
      at = next, n *= own;
      levels_re[p + 1] = re + at, levels_im[p + 1] = im + at;
    }
    for (int p = program.n_parts; p-- > 0;) {
      const Part& part = program.parts[p];
      size_t own = size_t(1) << part.k;
      if (p + 1 < program.n_parts) n >>= part.k;
      V *a = levels_re[p], *b = levels_im[p];
      for (size_t i = 0; i < own; i++) {
        V x{}, y{};
        for (size_t j = 0; j < n; j++) {
          V u = gre[j * own + i], w = gim[j * own + i];
          x += u * a[j] + w * b[j];
          y += w * a[j] - u * b[j];
        }
        give(g, part.is_sample, part.at + i, x);
        if (part.is_complex) give(g, part.is_sample, part.at + own + i, y);
      }
      for (size_t j = 0; j < n; j++) {
        V x{}, y{};
        for (size_t i = 0; i < own; i++) {
          Complex c = parameter(part.is_sample, part.is_complex, part.at + i, own);
          V u = gre[j * own + i], w = gim[j * own + i];
          x += c.re * u + c.im * w;
          y += c.re * w - c.im * u;
        }
        gre[j] = x, gim[j] = y;
      }
    }
  }

  // ---- gates on one bit --------------------------------------------------------------

  struct Pairs {
    uint32_t below, flip, reads, constant;
    explicit Pairs(const Gate& g)
        : below(uint32_t(g.pivots) - 1), flip(g.flip[0]), reads(g.reads[0]),
          constant(g.constant & 1) {}
    // Where bit 0 of the gate is 0; it is 1 at this ^ flip.
    uint32_t at(uint32_t i) const {
      uint32_t y = spread<1>(i, &below);
      return y ^ (flip & -uint32_t(odd(y & reads) ^ constant));
    }
  };

  template <bool COMPLEX>
  void one(const Gate& gate, V* re, V* im) const {
    Complex m[4];
    for (int i = 0; i < 4; i++) m[i] = parameter(gate.is_sample, COMPLEX, gate.at + i, 4);
    Pairs pairs(gate);
    for (uint32_t i = 0; i < size() / 2; i++) {
      uint32_t y = pairs.at(i), z = y ^ pairs.flip;
      V a = re[y], b = im[y], c = re[z], d = im[z];
      if (COMPLEX) {
        re[y] = m[0].re * a - m[0].im * b + m[1].re * c - m[1].im * d;
        im[y] = m[0].re * b + m[0].im * a + m[1].re * d + m[1].im * c;
        re[z] = m[2].re * a - m[2].im * b + m[3].re * c - m[3].im * d;
        im[z] = m[2].re * b + m[2].im * a + m[3].re * d + m[3].im * c;
      } else {
        re[y] = m[0].re * a + m[1].re * c;
        im[y] = m[0].re * b + m[1].re * d;
        re[z] = m[2].re * a + m[3].re * c;
        im[z] = m[2].re * b + m[3].re * d;
      }
    }
  }

  template <bool COMPLEX, bool GRADIENT>
  void one_back(const Gate& gate, V* re, V* im, V* gre, V* gim, const Gradients& g) const {
    Complex m[4];  // the adjoint
    for (int i = 0; i < 4; i++) {
      Complex c = parameter(gate.is_sample, COMPLEX, gate.at + i, 4);
      m[i == 1 ? 2 : i == 2 ? 1 : i] = {c.re, -c.im};
    }
    V x[4] = {}, w[4] = {};
    Pairs pairs(gate);
    for (uint32_t i = 0; i < size() / 2; i++) {
      uint32_t y = pairs.at(i), z = y ^ pairs.flip;
      V a = re[y], b = im[y], c = re[z], d = im[z];
      V pr, pi, qr, qi;
      if (COMPLEX) {
        pr = m[0].re * a - m[0].im * b + m[1].re * c - m[1].im * d;
        pi = m[0].re * b + m[0].im * a + m[1].re * d + m[1].im * c;
        qr = m[2].re * a - m[2].im * b + m[3].re * c - m[3].im * d;
        qi = m[2].re * b + m[2].im * a + m[3].re * d + m[3].im * c;
      } else {
        pr = m[0].re * a + m[1].re * c, pi = m[0].re * b + m[1].re * d;
        qr = m[2].re * a + m[3].re * c, qi = m[2].re * b + m[3].re * d;
      }
      re[y] = pr, im[y] = pi, re[z] = qr, im[z] = qi;
      a = gre[y], b = gim[y], c = gre[z], d = gim[z];
      if (GRADIENT) {
        x[0] += a * pr + b * pi, x[1] += a * qr + b * qi;
        x[2] += c * pr + d * pi, x[3] += c * qr + d * qi;
        if (COMPLEX) {
          w[0] += b * pr - a * pi, w[1] += b * qr - a * qi;
          w[2] += d * pr - c * pi, w[3] += d * qr - c * qi;
        }
      }
      if (COMPLEX) {
        gre[y] = m[0].re * a - m[0].im * b + m[1].re * c - m[1].im * d;
        gim[y] = m[0].re * b + m[0].im * a + m[1].re * d + m[1].im * c;
        gre[z] = m[2].re * a - m[2].im * b + m[3].re * c - m[3].im * d;
        gim[z] = m[2].re * b + m[2].im * a + m[3].re * d + m[3].im * c;
      } else {
        gre[y] = m[0].re * a + m[1].re * c, gim[y] = m[0].re * b + m[1].re * d;
        gre[z] = m[2].re * a + m[3].re * c, gim[z] = m[2].re * b + m[3].re * d;
      }
    }
    if (!GRADIENT) return;
    for (int i = 0; i < 4; i++) {
      give(g, gate.is_sample, gate.at + i, x[i]);
      if (COMPLEX) give(g, gate.is_sample, gate.at + 4 + i, w[i]);
    }
  }

  // ---- gates on two to five bits -----------------------------------------------------

  template <int K>
  struct Sets {
    static constexpr int SIDE = 1 << K;
    uint32_t below[K], offset[SIDE], reads[K], constant;
    explicit Sets(const Gate& g) : constant(g.constant) {
      uint32_t pivots = g.pivots;
      for (int t = 0; t < K; t++) {
        below[t] = (pivots & -pivots) - 1;
        pivots &= pivots - 1;
        reads[t] = g.reads[t];
      }
      for (int c = 0; c < SIDE; c++) {
        offset[c] = 0;
        for (int t = 0; t < K; t++)
          if (c >> t & 1) offset[c] ^= g.flip[t];
      }
    }
    // Where all bits of the gate are 0; they are c at this ^ offset[c].
    uint32_t at(uint32_t i) const {
      uint32_t y = spread<K>(i, below), c = constant;
      for (int t = 0; t < K; t++) c ^= uint32_t(odd(y & reads[t])) << t;
      return y ^ offset[c];
    }
  };

  template <int K, bool COMPLEX>
  void multiply(const Complex* m, const V* xr, const V* xi, V* yr, V* yi) const {
    constexpr int SIDE = 1 << K;
    for (int i = 0; i < SIDE; i++) {
      V a{}, b{};
      for (int j = 0; j < SIDE; j++) {
        const Complex& c = m[i * SIDE + j];
        a += c.re * xr[j];
        b += c.re * xi[j];
        if (COMPLEX) {
          a -= c.im * xi[j];
          b += c.im * xr[j];
        }
      }
      yr[i] = a, yi[i] = b;
    }
  }

  template <int K, bool COMPLEX>
  void several(const Gate& gate, V* re, V* im, V* scratch) const {
    constexpr int SIDE = 1 << K;
    Complex* m = reinterpret_cast<Complex*>(scratch);
    for (int i = 0; i < SIDE * SIDE; i++)
      m[i] = parameter(gate.is_sample, COMPLEX, gate.at + i, SIDE * SIDE);
    Sets<K> sets(gate);
    V xr[SIDE], xi[SIDE], yr[SIDE], yi[SIDE];
    for (uint32_t s = 0; s < size() >> K; s++) {
      uint32_t y = sets.at(s);
      for (int c = 0; c < SIDE; c++) xr[c] = re[y ^ sets.offset[c]], xi[c] = im[y ^ sets.offset[c]];
      multiply<K, COMPLEX>(m, xr, xi, yr, yi);
      for (int c = 0; c < SIDE; c++) re[y ^ sets.offset[c]] = yr[c], im[y ^ sets.offset[c]] = yi[c];
    }
  }

  template <int K, bool COMPLEX>
  void several_back(const Gate& gate, V* re, V* im, V* gre, V* gim, const Gradients& g,
                    V* scratch) const {
    constexpr int SIDE = 1 << K, ALL = SIDE * SIDE;
    Complex* m = reinterpret_cast<Complex*>(scratch);  // the adjoint
    Complex* grown = m + ALL;
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        Complex c = parameter(gate.is_sample, COMPLEX, gate.at + i * SIDE + j, ALL);
        m[j * SIDE + i] = {c.re, -c.im};
        grown[i * SIDE + j] = {V{}, V{}};
      }
    Sets<K> sets(gate);
    V xr[SIDE], xi[SIDE], yr[SIDE], yi[SIDE];
    for (uint32_t s = 0; s < size() >> K; s++) {
      uint32_t y = sets.at(s);
      for (int c = 0; c < SIDE; c++) xr[c] = re[y ^ sets.offset[c]], xi[c] = im[y ^ sets.offset[c]];
      multiply<K, COMPLEX>(m, xr, xi, yr, yi);
      for (int c = 0; c < SIDE; c++) {
        uint32_t at = y ^ sets.offset[c];
        re[at] = yr[c], im[at] = yi[c];
        xr[c] = gre[at], xi[c] = gim[at];
      }
      if (gate.wants_gradient)
        for (int i = 0; i < SIDE; i++)
          for (int j = 0; j < SIDE; j++) {
            grown[i * SIDE + j].re += xr[i] * yr[j] + xi[i] * yi[j];
            if (COMPLEX) grown[i * SIDE + j].im += xi[i] * yr[j] - xr[i] * yi[j];
          }
      multiply<K, COMPLEX>(m, xr, xi, yr, yi);
      for (int c = 0; c < SIDE; c++) {
        uint32_t at = y ^ sets.offset[c];
        gre[at] = yr[c], gim[at] = yi[c];
      }
    }
    if (!gate.wants_gradient) return;
    for (int i = 0; i < ALL; i++) {
      give(g, gate.is_sample, gate.at + i, grown[i].re);
      if (COMPLEX) give(g, gate.is_sample, gate.at + ALL + i, grown[i].im);
    }
  }

  // ---- phases ------------------------------------------------------------------------

  Complex turned(const Gate& gate, T sign) const {
    V t = parameter(gate.is_sample, gate.at);
    Complex e;
    for (int i = 0; i < LANES; i++) e.re[i] = std::cos(t[i]), e.im[i] = sign * std::sin(t[i]);
    return e;
  }

  void phase(const Gate& gate, V* re, V* im) const {
    Complex e = turned(gate, gate.constant & 1 ? -1 : 1);
    uint32_t reads = gate.reads[0];
    for (uint32_t y = 0; y < size(); y++) {
      V s = odd(y & reads) ? -e.im : e.im;
      V a = re[y], b = im[y];
      re[y] = e.re * a - s * b;
      im[y] = e.re * b + s * a;
    }
  }

  void phase_back(const Gate& gate, V* re, V* im, V* gre, V* gim, const Gradients& g) const {
    Complex e = turned(gate, gate.constant & 1 ? 1 : -1);
    uint32_t reads = gate.reads[0];
    V grown{};
    for (uint32_t y = 0; y < size(); y++) {
      bool minus = odd(y & reads);
      V s = minus ? -e.im : e.im;
      V a = re[y], b = im[y], c = gre[y], d = gim[y];
      V own = d * a - c * b;
      grown += minus ? -own : own;
      re[y] = e.re * a - s * b, im[y] = e.re * b + s * a;
      gre[y] = e.re * c - s * d, gim[y] = e.re * d + s * c;
    }
    if (gate.wants_gradient) give(g, gate.is_sample, gate.at, gate.constant & 1 ? -grown : grown);
  }

  // ---- means of words ----------------------------------------------------------------

  // Sums over y with signs (-1)^(bits of y & mask), for every mask of n bits, in place.
  static void walsh(V* x, int n) {
    size_t all = size_t(1) << n;
    for (size_t step = 1; step < all; step *= 2)
      for (size_t from = 0; from < all; from += 2 * step)
        for (size_t y = from; y < from + step; y++) {
          V a = x[y], b = x[y + step];
          x[y] = a + b, x[y + step] = a - b;
        }
  }

  // The sign of a word, but for the bits of y within a block that starts at `from`.
  T sign(const Word& word, uint32_t from) const {
    return T(odd(word.mask & from) ? -word.sign : word.sign);
  }

  // The words from `first` on that have its flip and oddness: up to the one returned.
  int alike(int first) const {
    const Word* words = program.words;
    int last = first;
    while (last < program.n_words && words[last].flip == words[first].flip &&
           words[last].is_odd == words[first].is_odd)
      last++;
    return last;
  }

  // `scratch` has room for a vector each word, and for a block.
  void read(const V* re, const V* im, V* scratch, T* words) const {
    int n = least(n_bits, SUM_BITS);
    size_t block = size_t(1) << n;
    V *sums = scratch, *weights = scratch + program.n_words;
    clear(sums, program.n_words);
    for (size_t from = 0; from < size(); from += block)
      for (int first = 0, last; first < program.n_words; first = last) {
        last = alike(first);
        uint32_t flip = program.words[first].flip;
        bool odd = program.words[first].is_odd;
        for (size_t y = 0; y < block; y++) {
          V a = re[(from + y) ^ flip], b = im[(from + y) ^ flip];
          V c = re[from + y], d = im[from + y];
          weights[y] = odd ? b * c - a * d : a * c + b * d;
        }
        walsh(weights, n);
        for (int w = first; w < last; w++)
          sums[w] += weights[program.words[w].mask & (block - 1)] * all(sign(program.words[w], from));
      }
    for (int w = 0; w < program.n_words; w++) store(words, program.words[w].row, sums[w]);
  }

  // g(psi) = 2 sum_w g(w) P_w psi.
  void read_back(const T* of_words, const V* re, const V* im, V* scratch, V* gre, V* gim) const {
    int n = least(n_bits, SUM_BITS);
    size_t block = size_t(1) << n;
    V *g = scratch, *weights = scratch + program.n_words;
    for (int w = 0; w < program.n_words; w++) {
      g[w] = load(of_words, program.words[w].row) * all(2);
      for (int i = live; i < LANES; i++) g[w][i] = 0;  // lanes that repeat a sample
    }
    for (size_t from = 0; from < size(); from += block) {
      clear(gre + from, block), clear(gim + from, block);
      for (int first = 0, last; first < program.n_words; first = last) {
        last = alike(first);
        uint32_t flip = program.words[first].flip;
        bool odd = program.words[first].is_odd;
        clear(weights, block);
        for (int w = first; w < last; w++)
          weights[program.words[w].mask & (block - 1)] += g[w] * all(sign(program.words[w], from));
        walsh(weights, n);
        for (size_t y = 0; y < block; y++) {
          V a = re[(from + y) ^ flip], b = im[(from + y) ^ flip];
          gre[from + y] += weights[y] * (odd ? b : a);
          gim[from + y] += weights[y] * (odd ? -a : b);
        }
      }
    }
  }

  // ---- the program -------------------------------------------------------------------

  template <bool COMPLEX>
  void apply(const Gate& gate, V* re, V* im, V* scratch) const {
    switch (gate.k) {
      case 1: return one<COMPLEX>(gate, re, im);
      case 2: return several<2, COMPLEX>(gate, re, im, scratch);
      case 3: return several<3, COMPLEX>(gate, re, im, scratch);
      case 4: return several<4, COMPLEX>(gate, re, im, scratch);
      case 5: return several<5, COMPLEX>(gate, re, im, scratch);
    }
  }

  template <bool COMPLEX>
  void undo(const Gate& gate, V* re, V* im, V* gre, V* gim, const Gradients& g, V* scratch) const {
    switch (gate.k) {
      case 1:
        return gate.wants_gradient ? one_back<COMPLEX, true>(gate, re, im, gre, gim, g)
                                   : one_back<COMPLEX, false>(gate, re, im, gre, gim, g);
      case 2: return several_back<2, COMPLEX>(gate, re, im, gre, gim, g, scratch);
      case 3: return several_back<3, COMPLEX>(gate, re, im, gre, gim, g, scratch);
      case 4: return several_back<4, COMPLEX>(gate, re, im, gre, gim, g, scratch);
      case 5: return several_back<5, COMPLEX>(gate, re, im, gre, gim, g, scratch);
    }
  }

  void run(const Gate& gate, V* re, V* im, V* scratch) const {
    if (gate.kind == PHASE) phase(gate, re, im);
    else if (gate.is_complex) apply<true>(gate, re, im, scratch);
    else apply<false>(gate, re, im, scratch);
  }

  void run_back(const Gate& gate, V* re, V* im, V* gre, V* gim, const Gradients& g, V* scratch) const {
    if (gate.kind == PHASE) phase_back(gate, re, im, gre, gim, g);
    else if (gate.is_complex) undo<true>(gate, re, im, gre, gim, g, scratch);
    else undo<false>(gate, re, im, gre, gim, g, scratch);
  }

  // Runs gates on all blocks: `work` gets a chunk of block size, a gate and its planes.
  template <int PLANES, class F>
  void in_blocks(const Group& group, size_t first_block, size_t last_block, V* const* planes,
                 V* scratch, bool backwards, F work) const {
    size_t block = group.place.size();
    Chunk small = *this;
    small.n_bits = group.n_bits;
    V* own[PLANES];
    for (int p = 0; p < PLANES; p++) own[p] = scratch + p * block;
    V* more = scratch + PLANES * block;
    for (size_t i = first_block; i < last_block; i++) {
      uint32_t y = uint32_t(i);
      for (uint32_t left = group.pivots; left; left &= left - 1) {
        uint32_t below = (left & -left) - 1;
        y = ((y & ~below) << 1) | (y & below);
      }
      for (int p = 0; p < PLANES; p++)
        for (size_t c = 0; c < block; c++) own[p][c] = planes[p][y ^ group.place[c]];
      int n = group.last - group.first;
      for (int j = 0; j < n; j++) {
        int which = backwards ? n - 1 - j : j;
        Gate gate = group.gates[which];
        const Gate& whole = program.gates[group.first + which];
        for (int t = 0; t < gate.k; t++) gate.constant ^= int32_t(odd(y & whole.reads[t])) << t;
        work(small, gate, own, more);
      }
      for (int p = 0; p < PLANES; p++)
        for (size_t c = 0; c < block; c++) planes[p][y ^ group.place[c]] = own[p][c];
    }
  }

  size_t blocks(const Group& group) const { return size() >> group.n_bits; }

  void run_blocks(const Group& group, size_t from, size_t to, V* state, V* scratch) const {
    V* planes[] = {state, state + size()};
    in_blocks<2>(group, from, to, planes, scratch, false,
                 [](const Chunk& small, const Gate& gate, V** own, V* more) {
                   small.run(gate, own[0], own[1], more);
                 });
  }

  // `planes`: real and imaginary parts of the state, and of its g.
  void undo_blocks(const Group& group, size_t from, size_t to, V* planes, V* scratch,
                   const Gradients& g) const {
    V* four[] = {planes, planes + size(), planes + 2 * size(), planes + 3 * size()};
    in_blocks<4>(group, from, to, four, scratch, true,
                 [&g](const Chunk& small, const Gate& gate, V** own, V* more) {
                   small.run_back(gate, own[0], own[1], own[2], own[3], g, more);
                 });
  }

  void begin(V* state) const { start(state, state + size()); }
  void end(const V* state, V* scratch, T* words) const {
    read(state, state + size(), scratch, words);
  }
  void begin_back(const T* of_words, const V* state, V* planes, V* scratch) const {
    memcpy(planes, state, 2 * size() * sizeof(V));
    read_back(of_words, planes, planes + size(), scratch, planes + 2 * size(), planes + 3 * size());
  }
  void end_back(V* planes, const Gradients& g) const {
    start_back(planes + 2 * size(), planes + 3 * size(), planes, g);
  }
  void store_samples(const V* sums, T* of_samples) const {
    for (int64_t row = 0; row < program.n_samples; row++) store(of_samples, row, sums[row]);
  }

  void forward(T* words, V* state, V* scratch) const {
    begin(state);
    if (program.groups) {
      for (const Group& group : *program.groups) run_blocks(group, 0, blocks(group), state, scratch);
    } else {
      for (int i = 0; i < program.n_gates; i++)
        run(program.gates[i], state, state + size(), scratch);
    }
    end(state, scratch, words);
  }

  // `sums`: gradients of what is shared, which are added to, and of the samples.
  void backward(const T* of_words, const V* state, V* sums, T* of_samples, V* scratch) const {
    V *planes = scratch, *more = planes + 4 * size();
    Gradients g{sums, sums + program.n_shared};
    clear(g.of_samples, program.n_samples);
    begin_back(of_words, state, planes, more);
    if (program.groups) {
      for (size_t i = program.groups->size(); i-- > 0;) {
        const Group& group = (*program.groups)[i];
        undo_blocks(group, 0, blocks(group), planes, more, g);
      }
    } else {
      for (int i = program.n_gates; i-- > 0;)
        run_back(program.gates[i], planes, planes + size(), planes + 2 * size(),
                 planes + 3 * size(), g, more);
    }
    end_back(planes, g);
    store_samples(g.of_samples, of_samples);
  }
};

template <class T>
size_t scratch_of(const Program& program, bool backward, bool in_parts) {
  using C = Chunk<T>;
  size_t widest = 0, planes = backward ? 4 : 2;
  for (int i = 0; i < program.n_gates; i++)
    if (size_t(program.gates[i].k) > widest) widest = program.gates[i].k;
  size_t states = backward && !in_parts ? planes << program.n_bits : 0;
  size_t blocks = program.groups ? planes << C::BLOCK_BITS : 0;
  size_t sums = program.n_words + (size_t(1) << C::SUM_BITS);
  return (states + blocks + (size_t(4) << (2 * widest)) + sums) * BYTES;
}

template <class T>
using Vectors = typename Chunk<T>::V;

template <class T>
Vectors<T>* vectors(T* x) {
  return reinterpret_cast<Vectors<T>*>(x);
}

template <class T>
Chunk<T> chunk(const Call<T>& c, int64_t first) {
  return Chunk<T>(*c.program, c.shared, c.samples, c.batch, first);
}

template <class T>
void forward(const Call<T>& c, int64_t first, T* words, T* state, T* scratch) {
  chunk(c, first).forward(words, vectors(state), vectors(scratch));
}

template <class T>
void backward(const Call<T>& c, int64_t first, const T* of_words, const T* state, T* sums,
              T* of_samples, T* scratch) {
  chunk(c, first).backward(of_words, reinterpret_cast<const Vectors<T>*>(state), vectors(sums),
                           of_samples, vectors(scratch));
}

template <class T>
void begin(const Call<T>& c, int64_t first, T* state) {
  chunk(c, first).begin(vectors(state));
}

template <class T>
void end(const Call<T>& c, int64_t first, const T* state, T* scratch, T* words) {
  chunk(c, first).end(reinterpret_cast<const Vectors<T>*>(state), vectors(scratch), words);
}

template <class T>
void run_blocks(const Call<T>& c, int64_t first, const Group& group, int part, int parts,
                T* state, T* scratch) {
  Chunk<T> own = chunk(c, first);
  size_t n = own.blocks(group);
  own.run_blocks(group, n * part / parts, n * (part + 1) / parts, vectors(state), vectors(scratch));
}

template <class T>
void begin_back(const Call<T>& c, int64_t first, const T* of_words, const T* state, T* planes,
                T* scratch) {
  chunk(c, first).begin_back(of_words, reinterpret_cast<const Vectors<T>*>(state), vectors(planes),
                             vectors(scratch));
}

template <class T>
void undo_blocks(const Call<T>& c, int64_t first, const Group& group, int part, int parts,
                 T* planes, T* sums, T* scratch) {
  Chunk<T> own = chunk(c, first);
  size_t n = own.blocks(group);
  typename Chunk<T>::Gradients g{vectors(sums), vectors(sums) + c.program->n_shared};
  own.undo_blocks(group, n * part / parts, n * (part + 1) / parts, vectors(planes),
                  vectors(scratch), g);
}

template <class T>
void end_back(const Call<T>& c, int64_t first, T* planes, T* sums, T* of_samples) {
  Chunk<T> own = chunk(c, first);
  typename Chunk<T>::Gradients g{vectors(sums), vectors(sums) + c.program->n_shared};
  own.end_back(vectors(planes), g);
  own.store_samples(g.of_samples, of_samples);
}

template <class T>
Kernels<T> make() {
  return {Chunk<T>::LANES, Chunk<T>::BLOCK_BITS, scratch_of<T>, forward<T>, backward<T>, begin<T>,
          run_blocks<T>, end<T>, begin_back<T>, undo_blocks<T>, end_back<T>};
}

}  // namespace INSTRUCTIONS
}  // namespace qfm

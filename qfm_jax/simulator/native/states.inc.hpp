// What both ways to lay out states have in common: the initial product state, and the
// angles of diagonal passes.

// Where entry i of a part is.
static inline int64_t place(const Part& part, size_t i, bool imaginary) {
  return part.at + i + (imaginary ? int64_t(1) << part.k : 0);
}

// The imaginary part of an entry of a diagonal.
static inline int64_t place(const Gate& gate, size_t entry) {
  return gate.at + entry + (int64_t(1) << gate.k);
}

template <class T>
struct Parts {
  const Part *first, *last;

  size_t size() const {
    int bits = 0;
    for (const Part* part = first; part < last; part++) bits += part->k;
    return size_t(1) << bits;
  }

  // The product of parts one after the other: X a number or a vector of them; `get` reads
  // entry i of a part, real or imaginary.
  template <class X, class Get>
  void multiply(X* re, X* im, Get get) const {
    size_t n = 1;
    bool is_real = true;
    re[0] = X{} + 1, im[0] = X{};
    for (const Part* part = first; part < last; part++) {
      size_t own = size_t(1) << part->k;
      X c[2], d[2] = {};
      for (int i = 0; i < 2; i++) {
        c[i] = get(*part, i, false);
        if (part->sort == COMPLEX) d[i] = get(*part, i, true);
      }
      for (size_t j = n; j-- > 0;) {
        X a = re[j], b = is_real ? X{} : im[j];
        for (size_t i = own; i-- > 0;) {
          X x = i < 2 ? c[i] : get(*part, i, false);
          size_t to = j * own + i;
          if (is_real && !part->sort == COMPLEX) {
            re[to] = a * x;
          } else {
            X y = i < 2 ? d[i] : part->sort == COMPLEX ? get(*part, i, true) : X{};
            re[to] = a * x - b * y;
            im[to] = a * y + b * x;
          }
        }
      }
      n *= own;
      is_real = is_real && !part->sort == COMPLEX;
    }
    if (is_real) clear(im, n);
  }

  // g of every part, from g of their product, which is overwritten. `kept` has room for
  // the products of the first parts: 1, 2, 4, ... numbers, twice size() in all.
  template <class X, class Get, class Give>
  void multiply_back(X* gre, X* gim, X* kept, Get get, Give give) const {
    X* levels_re[MAX_BITS + 1];
    X* levels_im[MAX_BITS + 1];
    X *re = kept, *im = kept + size();
    size_t n = 1, at = 0;
    re[0] = X{} + 1, im[0] = X{};
    levels_re[0] = re, levels_im[0] = im;
    for (const Part* part = first; part + 1 < last; part++) {
      size_t own = size_t(1) << part->k, next = at + n;
      for (size_t i = 0; i < own; i++) {
        X x = get(*part, i, false), y = part->sort == COMPLEX ? get(*part, i, true) : X{};
        for (size_t j = 0; j < n; j++) {
          X a = re[at + j], b = im[at + j];
          re[next + j * own + i] = a * x - b * y;
          im[next + j * own + i] = a * y + b * x;
        }
      }
      at = next, n *= own;
      levels_re[part + 1 - first] = re + at, levels_im[part + 1 - first] = im + at;
    }
    for (const Part* part = last; part-- > first;) {
      size_t own = size_t(1) << part->k;
      if (part + 1 < last) n >>= part->k;
      X *a = levels_re[part - first], *b = levels_im[part - first];
      for (size_t i = 0; i < own; i++) {
        X x{}, y{};
        for (size_t j = 0; j < n; j++) {
          X u = gre[j * own + i], w = gim[j * own + i];
          x += u * a[j] + w * b[j];
          y += w * a[j] - u * b[j];
        }
        give(*part, i, false, x);
        if (part->sort == COMPLEX) give(*part, i, true, y);
      }
      X c[2], d[2] = {};
      for (int i = 0; i < 2; i++) {
        c[i] = get(*part, i, false);
        if (part->sort == COMPLEX) d[i] = get(*part, i, true);
      }
      for (size_t j = 0; j < n; j++) {
        X x{}, y{};
        for (size_t i = 0; i < own; i++) {
          X e = i < 2 ? c[i] : get(*part, i, false);
          X f = i < 2 ? d[i] : part->sort == COMPLEX ? get(*part, i, true) : X{};
          X u = gre[j * own + i], w = gim[j * own + i];
          x += e * u + f * w;
          y += e * w - f * u;
        }
        gre[j] = x, gim[j] = y;
      }
    }
  }
};

// Phases one after the other are one multiplication by exp(i theta(y)), where theta(y) is
// the sum of their angles with the signs (-1)^(bits of y & mask): a Walsh transform, made
// for 2^bits amplitudes from `from` on at a time.
template <class T>
struct Phases {
  using L = Lanes<T>;
  using V = typename L::V;
  static constexpr int MOST_BITS = 11;
  const Gate *first, *last;
  int bits;
  V *sine, *cosine, *grown;  // 2^bits numbers each

  Phases(const Program& program, const Pass& pass, V* scratch)
      : first(program.gates + pass.first), last(program.gates + pass.last),
        bits(tile(program.n_bits)) {
    size_t n = size_t(1) << (bits - L::BITS);
    sine = scratch, cosine = sine + n, grown = cosine + n;
  }
  static int tile(int n_bits) {
    int bits = n_bits < MOST_BITS ? n_bits : MOST_BITS;
    return bits > L::BITS ? bits : L::BITS;
  }
  static constexpr size_t SCRATCH = size_t(3) << MOST_BITS >> L::BITS;

  size_t size() const { return size_t(1) << bits; }
  uint32_t place(const Gate& gate) const { return gate.reads[0] & (size() - 1); }
  static T sign(const Gate& gate, uint32_t from) {
    return odd(gate.reads[0] & from) ^ (gate.constant & 1) ? -1 : 1;
  }

  // The same angle, where it is large, in [-pi, pi]: see Lanes::turn.
  static T within(T t) { return std::fabs(t) > 1000 ? std::atan2(std::sin(t), std::cos(t)) : t; }

  // `get`: the angle of a gate; `of`: 1, or -1 for the inverse.
  template <class Get>
  void set(uint32_t from, T of, Get get) const {
    V* theta = sine;
    clear(theta, size() / L::N);
    for (const Gate* gate = first; gate < last; gate++) {
      T t = within(get(*gate));
      reinterpret_cast<T*>(theta)[place(*gate)] += of * sign(*gate, from) * t;
    }
    L::walsh_of_numbers(theta, bits);
    for (size_t i = 0; i < size() / L::N; i++) {
      V s, c;
      L::turn(theta[i], s, c);
      sine[i] = s, cosine[i] = c;
    }
  }

  // From dL / d theta in `grown`, which is overwritten.
  template <class Give>
  void give(uint32_t from, Give give) const {
    L::walsh_of_numbers(grown, bits);
    for (const Gate* gate = first; gate < last; gate++)
      give(*gate, sign(*gate, from) * reinterpret_cast<T*>(grown)[place(*gate)]);
  }
};

// work(y, entry) for amplitudes from first to last - 1 and their entries of a diagonal.
template <class F>
static inline void with_entries(const Program& program, const Gate& gate, uint32_t first,
                                uint32_t last, F work) {
  const int32_t* masks = program.masks + gate.flip[0];
  uint32_t entry = gate.constant, steps[MAX_BITS + 1], step = 0;
  for (int i = 0; i < program.n_bits; i++) {  // what changes where bits 0 to i of y do
    for (int t = 0; t < gate.k; t++) step ^= uint32_t(masks[t] >> i & 1) << t;
    steps[i] = step;
  }
  steps[program.n_bits] = 0;
  for (int t = 0; t < gate.k; t++) entry ^= uint32_t(odd(first & masks[t])) << t;
  for (uint32_t y = first; y < last; y++) {
    work(y, entry);
    entry ^= steps[__builtin_ctz(y + 1)];
  }
}

// The words from `first` on that have its flip and oddness: up to the one returned.
static inline int alike(const Program& program, int first) {
  const Word* words = program.words;
  int last = first;
  while (last < program.n_words && words[last].flip == words[first].flip &&
         words[last].is_odd == words[first].is_odd)
    last++;
  return last;
}

// The sign of a word, but for the bits of y within 2^bits amplitudes from `from` on.
static inline int sign_of(const Word& word, uint32_t from) {
  return odd(word.mask & from) ? -word.sign : word.sign;
}

constexpr int SUM_BITS = 11;  // of the tiles in which words are summed

// A chunk of samples side by side: lane l of amplitude y is that of sample first + l.

template <class T>
struct Samples {
  using L = Lanes<T>;
  using V = typename L::V;

  const Program& program;
  const T *shared, *samples;
  int64_t batch, first;
  int live;  // samples of the chunk; the other lanes repeat the last one
  V* sums;   // g of the shared parameters, and of those of each sample

  Samples(const Call<T>& c, int64_t first, V* sums = nullptr)
      : program(*c.program), shared(c.shared), samples(c.samples), batch(c.batch), first(first),
        live(int(least<int64_t>(L::N, batch - first))), sums(sums) {}

  size_t size() const { return size_t(1) << program.n_bits; }

  V load(const T* rows, int64_t row) const {
    V x;
    const T* from = rows + row * batch + first;
    if (live == L::N) {
      memcpy(&x, from, sizeof(V));
    } else {
      for (int l = 0; l < L::N; l++) x[l] = from[least(l, live - 1)];
    }
    return x;
  }
  void store(T* rows, int64_t row, V x) const {
    memcpy(rows + row * batch + first, &x, live * sizeof(T));
  }
  static V within(V t) {
    for (int l = 0; l < L::N; l++) t[l] = Phases<T>::within(t[l]);
    return t;
  }
  V parameter(bool is_sample, int64_t at) const {
    return is_sample ? load(samples, at) : L::all(shared[at]);
  }
  void add(bool is_sample, int64_t at, V x) const {
    sums[at + (is_sample ? program.n_shared : 0)] += x;
  }

  // Of the gates' matrices: see gates.inc.hpp.
  V entry(const Gate& gate, int i, bool imaginary) const {
    return parameter(gate.is_sample, gate.at + i + (imaginary ? 1 << 2 * gate.k : 0));
  }
  void give(const Gate& gate, int i, bool imaginary, V x) const {
    add(gate.is_sample, gate.at + i + (imaginary ? 1 << 2 * gate.k : 0), x);
  }
  // A matrix whose entries are the same in all lanes; null where they are not.
  const T* matrix(const Gate& gate) const { return gate.is_sample ? nullptr : shared + gate.at; }
  // Of the which-th gate of a step.
  V angle(const Gate& gate, int which) const { return within(parameter(gate.is_sample, gate.at)); }
  void give_angle(const Gate& gate, int which, V x) const { add(gate.is_sample, gate.at, x); }

  // ---- the initial state -------------------------------------------------------------

  Parts<T> parts() const { return {program.parts, program.parts + program.n_parts}; }

  V entry(const Part& part, size_t i, bool imaginary) const {
    if (part.sort != ANGLE) return parameter(part.is_sample, place(part, i, imaginary));
    V sine, cosine;
    L::turn(within(parameter(part.is_sample, part.at)), sine, cosine);
    return i ? sine : cosine;
  }

  void start(V* re, V* im) const {
    parts().multiply(re, im, [this](const Part& part, size_t i, bool imaginary) {
      return entry(part, i, imaginary);
    });
  }
  void start_back(V* gre, V* gim, V* kept) const {
    auto get = [this](const Part& part, size_t i, bool imaginary) {
      return entry(part, i, imaginary);
    };
    auto give = [this](const Part& part, size_t i, bool imaginary, V x) {
      bool is_angle = part.sort == ANGLE;
      V slope = !is_angle ? L::all(1) : i ? entry(part, 0, false) : -entry(part, 1, false);
      add(part.is_sample, is_angle ? part.at : place(part, i, imaginary), slope * x);
    };
    parts().multiply_back(gre, gim, kept, get, give);
  }

  // ---- phases that the samples share, and diagonals -----------------------------------

  void phases(const Pass& pass, V* re, V* im, V* scratch) const {
    Phases<T> d(program, pass, scratch);
    auto angle = [this](const Gate& gate) { return shared[gate.at]; };
    const T *sine = reinterpret_cast<T*>(d.sine), *cosine = reinterpret_cast<T*>(d.cosine);
    for (size_t from = 0; from < size(); from += d.size()) {
      d.set(from, 1, angle);
      for (size_t y = 0, n = least(size(), d.size()); y < n; y++) {
        V s = L::all(sine[y]), c = L::all(cosine[y]), a = re[from + y], b = im[from + y];
        re[from + y] = c * a - s * b;
        im[from + y] = c * b + s * a;
      }
    }
  }

  void phases_back(const Pass& pass, V* re, V* im, V* gre, V* gim, V* scratch) const {
    Phases<T> d(program, pass, scratch);
    auto angle = [this](const Gate& gate) { return shared[gate.at]; };
    auto give = [this](const Gate& gate, T x) {
      if (gate.wants_gradient) reinterpret_cast<T*>(sums + gate.at)[0] += x;
    };
    const T *sine = reinterpret_cast<T*>(d.sine), *cosine = reinterpret_cast<T*>(d.cosine);
    for (size_t from = 0; from < size(); from += d.size()) {
      d.set(from, -1, angle);
      for (size_t y = 0; y < d.size(); y += L::N) {
        V rows[L::N];
        for (int i = 0; i < L::N; i++) {
          size_t at = from + y + i;
          if (at >= size()) {
            rows[i] = V{};
            continue;
          }
          V s = L::all(sine[y + i]), c = L::all(cosine[y + i]);
          V u = re[at], w = im[at], v = gre[at], z = gim[at];
          rows[i] = z * u - v * w;
          re[at] = c * u - s * w, im[at] = c * w + s * u;
          gre[at] = c * v - s * z, gim[at] = c * z + s * v;
        }
        d.grown[y / L::N] = L::sums(rows);
      }
      d.give(from, give);
    }
  }

  void numbers(const Gate& gate, V* re, V* im) const {
    with_entries(program, gate, 0, size(), [&](uint32_t y, uint32_t e) {
      V c = parameter(gate.is_sample, gate.at + e);
      V d = gate.is_complex ? parameter(gate.is_sample, place(gate, e)) : V{};
      V a = re[y], b = im[y];
      re[y] = c * a - d * b, im[y] = c * b + d * a;
    });
  }
  void numbers_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    with_entries(program, gate, 0, size(), [&](uint32_t y, uint32_t e) {
      V c = parameter(gate.is_sample, gate.at + e);
      V d = gate.is_complex ? parameter(gate.is_sample, place(gate, e)) : V{};
      V a = c * re[y] + d * im[y], b = c * im[y] - d * re[y], g = gre[y], h = gim[y];
      re[y] = a, im[y] = b;
      gre[y] = c * g + d * h, gim[y] = c * h - d * g;
      if (!gate.wants_gradient) return;
      add(gate.is_sample, gate.at + e, g * a + h * b);
      if (gate.is_complex) add(gate.is_sample, place(gate, e), h * a - g * b);
    });
  }

  // ---- means of words ----------------------------------------------------------------

  // `scratch` has room for a vector each word, and for a tile.
  void read(const V* re, const V* im, V* scratch, T* words) const {
    int n = least(program.n_bits, SUM_BITS);
    size_t tile = size_t(1) << n;
    V *means = scratch, *weights = scratch + program.n_words;
    clear(means, program.n_words);
    for (size_t from = 0; from < size(); from += tile)
      for (int one = 0, last; one < program.n_words; one = last) {
        last = alike(program, one);
        uint32_t flip = program.words[one].flip;
        bool odd = program.words[one].is_odd;
        for (size_t y = 0; y < tile; y++) {
          V a = re[(from + y) ^ flip], b = im[(from + y) ^ flip];
          V c = re[from + y], d = im[from + y];
          weights[y] = odd ? b * c - a * d : a * c + b * d;
        }
        L::walsh(weights, n);
        for (int w = one; w < last; w++)
          means[w] += weights[program.words[w].mask & (tile - 1)] *
                      L::all(sign_of(program.words[w], from));
      }
    for (int w = 0; w < program.n_words; w++) store(words, program.words[w].row, means[w]);
  }

  // g(psi) = 2 sum_w g(w) P_w psi.
  void read_back(const T* of_words, const V* re, const V* im, V* scratch, V* gre, V* gim) const {
    int n = least(program.n_bits, SUM_BITS);
    size_t tile = size_t(1) << n;
    V *g = scratch, *weights = scratch + program.n_words;
    for (int w = 0; w < program.n_words; w++) {
      g[w] = load(of_words, program.words[w].row) * L::all(2);
      for (int l = live; l < L::N; l++) g[w][l] = 0;  // lanes that repeat a sample
    }
    for (size_t from = 0; from < size(); from += tile) {
      clear(gre + from, tile), clear(gim + from, tile);
      for (int one = 0, last; one < program.n_words; one = last) {
        last = alike(program, one);
        uint32_t flip = program.words[one].flip;
        bool odd = program.words[one].is_odd;
        clear(weights, tile);
        for (int w = one; w < last; w++)
          weights[program.words[w].mask & (tile - 1)] +=
              g[w] * L::all(sign_of(program.words[w], from));
        L::walsh(weights, n);
        for (size_t y = 0; y < tile; y++) {
          V a = re[(from + y) ^ flip], b = im[(from + y) ^ flip];
          gre[from + y] += weights[y] * (odd ? b : a);
          gim[from + y] += weights[y] * (odd ? -a : b);
        }
      }
    }
  }

  // ---- the program -------------------------------------------------------------------

  static size_t scratch(const Program& program, bool backward) {
    size_t states = backward ? size_t(4) << program.n_bits : 0;
    size_t sums = program.n_words + (size_t(1) << SUM_BITS);
    return (states + matrices(program) + sums + Phases<T>::SCRATCH) * BYTES;
  }
  static size_t matrices(const Program& program) {
    int widest = 0;
    for (int i = 0; i < program.n_gates; i++)
      if (program.gates[i].k > widest && program.gates[i].kind == MATRIX)
        widest = program.gates[i].k;
    return size_t(4) << (2 * widest);
  }

  void forward(T* words, V* state, V* scratch) const {
    V *re = state, *im = state + size();
    start(re, im);
    Gates<T, const Samples&> gates{*this, program.n_bits, scratch};
    for (const Pass& pass : *program.passes)
      if (pass.way == PHASES) phases(pass, re, im, scratch);
      else if (pass.way == NUMBERS) numbers(program.gates[pass.first], re, im);
      else
        for (const Step& step : pass.steps) gates.run(step, re, im);
    read(re, im, scratch, words);
  }

  void backward(const T* of_words, const V* state, T* of_samples, V* scratch) const {
    size_t n = size();
    V *re = scratch, *im = re + n, *gre = im + n, *gim = gre + n, *more = gim + n;
    clear(sums + program.n_shared, program.n_samples);
    memcpy(re, state, 2 * n * sizeof(V));
    read_back(of_words, re, im, more, gre, gim);
    Gates<T, const Samples&> gates{*this, program.n_bits, more};
    for (size_t p = program.passes->size(); p-- > 0;) {
      const Pass& pass = (*program.passes)[p];
      if (pass.way == PHASES) phases_back(pass, re, im, gre, gim, more);
      else if (pass.way == NUMBERS) numbers_back(program.gates[pass.first], re, im, gre, gim);
      else
        for (size_t i = pass.steps.size(); i-- > 0;)
          gates.run_back(pass.steps[i], re, im, gre, gim);
    }
    start_back(gre, gim, scratch);
    for (int64_t row = 0; row < program.n_samples; row++)
      store(of_samples, row, sums[program.n_shared + row]);
  }
};

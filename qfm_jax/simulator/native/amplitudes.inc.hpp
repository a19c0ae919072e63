// One sample, whose amplitudes are side by side: for states that are large for a cache, and
// for few samples.
//
// Gates run in passes whose flips span a small space (see passes.hpp): amplitudes
// y ^ (any sum of those flips) only meet each other. N such blocks are worked on at once,
// one in each lane of the vectors, so that gates need no exchange between lanes; only the
// orientation of a gate may differ from lane to lane. Blocks are copied to the cache, all
// gates of the pass run there, and they are copied back.

template <class T>
struct Amplitudes {
  using L = Lanes<T>;
  using V = typename L::V;

  const Program& program;
  const T *shared, *samples;
  int64_t batch, sample;
  const Share& share;

  Amplitudes(const Call<T>& c, int64_t sample, const Share& share)
      : program(*c.program), shared(c.shared), samples(c.samples), batch(c.batch),
        sample(sample), share(share) {}

  size_t size() const { return size_t(1) << program.n_bits; }
  T parameter(bool is_sample, int64_t at) const {
    return is_sample ? samples[at * batch + sample] : shared[at];
  }
  int64_t sum_of(bool is_sample, int64_t at) const {
    return at + (is_sample ? program.n_shared : 0);
  }

  // work(part, scratch) for all parts; `range` cuts n things into them.
  template <class F>
  void in_parts(F work) const {
    share.run(
        share,
        [](void* self, int part, void* scratch) {
          (*static_cast<F*>(self))(part, static_cast<V*>(scratch));
        },
        &work);
  }
  size_t range(size_t n, int part) const { return n * part / share.parts; }
  int64_t n_sums() const { return program.n_shared + program.n_samples; }

  // ---- gates, in blocks --------------------------------------------------------------

  struct Source {
    const Amplitudes& of;
    V* sums;
    uint32_t starts[L::N];  // the first amplitude of the block in each lane
    // How the bits of a gate (of a step's two gates) there differ from those at y = 0.
    uint32_t flipped[2][L::N];
    typename L::I is_flipped[2];

    void set(const Gate& whole, int which) {
      for (int l = 0; l < L::N; l++) {
        uint32_t bits = 0;
        for (int t = 0; t < whole.k; t++)
          bits |= uint32_t(odd(starts[l] & whole.reads[t])) << t;
        flipped[which][l] = bits;
        is_flipped[which][l] = bits ? -1 : 0;
      }
    }
    V entry(const Gate& gate, int i, bool imaginary) const {
      int64_t at = gate.at + (imaginary ? 1 << 2 * gate.k : 0);
      if (gate.k == 1) {
        V a = L::all(of.parameter(gate.is_sample, at + i));
        V b = L::all(of.parameter(gate.is_sample, at + (i ^ 3)));
        return is_flipped[0] ? b : a;
      }
      V x;
      for (int l = 0; l < L::N; l++) x[l] = of.parameter(gate.is_sample, at + turned(gate, i, l));
      return x;
    }
    void give(const Gate& gate, int i, bool imaginary, V x) const {
      V* to = sums + of.sum_of(gate.is_sample, gate.at + (imaginary ? 1 << 2 * gate.k : 0));
      if (gate.k == 1) {
        to[i] += is_flipped[0] ? V{} : x;
        to[i ^ 3] += is_flipped[0] ? x : V{};
      } else {
        for (int l = 0; l < L::N; l++) reinterpret_cast<T*>(to + turned(gate, i, l))[l] += x[l];
      }
    }
    const T* matrix(const Gate&) const { return nullptr; }  // lanes differ
    // Row and column of an entry, flipped as in a lane.
    int turned(const Gate& gate, int i, int lane) const {
      return i ^ int(flipped[0][lane] * ((1 << gate.k) + 1));
    }
    V angle(const Gate& gate, int which) const {
      V t = L::all(Phases<T>::within(of.parameter(gate.is_sample, gate.at)));
      return is_flipped[which] ? -t : t;
    }
    void give_angle(const Gate& gate, int which, V x) const {
      sums[of.sum_of(gate.is_sample, gate.at)] += is_flipped[which] ? -x : x;
    }
  };

  // Copies between a plane and blocks: amplitude c of a block is y = start ^ place[c].
  template <bool BACK>
  void copy(const Blocks& blocks, const uint32_t* starts, T* plane, V* own) const {
    if ((blocks.pivots & (L::N - 1)) == 0) {  // lanes are neighbours
      for (size_t c = 0; c < blocks.place.size(); c++) {
        uint32_t y = starts[0] ^ blocks.place[c];
        V* at = reinterpret_cast<V*>(plane + (y & ~uint32_t(L::N - 1)));
        if (BACK) *at = L::crossed(own[c], y & (L::N - 1));
        else own[c] = L::crossed(*at, y & (L::N - 1));
      }
      return;
    }
    for (size_t c = 0; c < blocks.place.size(); c++)
      for (int l = 0; l < L::N; l++) {
        T& at = plane[starts[l] ^ blocks.place[c]];
        T& one = reinterpret_cast<T*>(own + c)[l];
        if (BACK) at = one;
        else one = at;
      }
  }

  // work(gates, step, size) for all steps of a pass, block after block.
  template <int PLANES, class F>
  void in_blocks(const Pass& pass, int part, T* planes, V* sums, V* scratch, F work) const {
    const Blocks& blocks = pass.blocks;
    size_t block = blocks.place.size(), n = size() / block / L::N;
    Source source{*this, sums, {}, {}, {}};
    Gates<T, Source&> gates{source, blocks.n_bits, scratch + PLANES * block};
    for (size_t i = range(n, part); i < range(n, part + 1); i++) {
      for (int l = 0; l < L::N; l++) {
        uint32_t y = uint32_t(i * L::N + l);
        for (uint32_t left = blocks.pivots; left; left &= left - 1) {
          uint32_t below = (left & -left) - 1;
          y = ((y & ~below) << 1) | (y & below);
        }
        source.starts[l] = y;
      }
      for (int p = 0; p < PLANES; p++)
        copy<false>(blocks, source.starts, planes + p * size(), scratch + p * block);
      for (size_t j = 0, last = pass.steps.size(); j < last; j++) {
        const Step& step = pass.steps[PLANES == 4 ? last - 1 - j : j];
        for (int t = 0; t < step.count; t++) source.set(program.gates[step.first + t], t);
        work(gates, step, block);
      }
      for (int p = 0; p < PLANES; p++)
        copy<true>(blocks, source.starts, planes + p * size(), scratch + p * block);
    }
  }

  void run(const Pass& pass, T* planes) const {
    in_parts([&](int part, V* scratch) {
      in_blocks<2>(pass, part, planes, nullptr, scratch,
                   [scratch](auto& gates, const Step& step, size_t n) {
                     gates.run(step, scratch, scratch + n);
                   });
    });
  }
  void run_back(const Pass& pass, T* planes, V* sums) const {
    in_parts([&](int part, V* scratch) {
      in_blocks<4>(pass, part, planes, sums + part * n_sums(), scratch,
                   [scratch](auto& gates, const Step& step, size_t n) {
                     gates.run_back(step, scratch, scratch + n, scratch + 2 * n, scratch + 3 * n);
                   });
    });
  }

  // ---- phases and diagonals ---------------------------------------------------------------

  void phases(const Pass& pass, T* planes) const {
    in_parts([&](int part, V* scratch) {
      Phases<T> d(program, pass, scratch);
      auto angle = [this](const Gate& gate) { return parameter(gate.is_sample, gate.at); };
      size_t n = size() / d.size(), each = d.size() / L::N;
      for (size_t i = range(n, part); i < range(n, part + 1); i++) {
        d.set(i * d.size(), 1, angle);
        V* re = reinterpret_cast<V*>(planes) + i * each;
        V* im = re + size() / L::N;
        for (size_t y = 0; y < each; y++) {
          V s = d.sine[y], c = d.cosine[y], a = re[y], b = im[y];
          re[y] = c * a - s * b;
          im[y] = c * b + s * a;
        }
      }
    });
  }

  void phases_back(const Pass& pass, T* planes, V* sums) const {
    in_parts([&](int part, V* scratch) {
      Phases<T> d(program, pass, scratch);
      auto angle = [this](const Gate& gate) { return parameter(gate.is_sample, gate.at); };
      V* own = sums + part * n_sums();
      auto give = [&](const Gate& gate, T x) {
        if (gate.wants_gradient)
          reinterpret_cast<T*>(own + sum_of(gate.is_sample, gate.at))[0] += x;
      };
      size_t n = size() / d.size(), each = d.size() / L::N, plane = size() / L::N;
      for (size_t i = range(n, part); i < range(n, part + 1); i++) {
        d.set(i * d.size(), -1, angle);
        V* re = reinterpret_cast<V*>(planes) + i * each;
        V *im = re + plane, *gre = im + plane, *gim = gre + plane;
        for (size_t y = 0; y < each; y++) {
          V s = d.sine[y], c = d.cosine[y], u = re[y], w = im[y], v = gre[y], z = gim[y];
          d.grown[y] = z * u - v * w;
          re[y] = c * u - s * w, im[y] = c * w + s * u;
          gre[y] = c * v - s * z, gim[y] = c * z + s * v;
        }
        d.give(i * d.size(), give);
      }
    });
  }

  void numbers(const Gate& gate, T* re) const {
    T* im = re + size();
    in_parts([&](int part, V*) {
      with_entries(program, gate, range(size(), part), range(size(), part + 1),
                   [&](uint32_t y, uint32_t e) {
                     T c = parameter(gate.is_sample, gate.at + e), a = re[y], b = im[y];
                     T d = gate.is_complex ? parameter(gate.is_sample, place(gate, e)) : 0;
                     re[y] = c * a - d * b, im[y] = c * b + d * a;
                   });
    });
  }

  void numbers_back(const Gate& gate, T* re, V* sums) const {
    T *im = re + size(), *gre = im + size(), *gim = gre + size();
    in_parts([&](int part, V*) {
      V* own = sums + part * n_sums();
      auto add = [&](int64_t at, T x) {
        reinterpret_cast<T*>(own + sum_of(gate.is_sample, at))[0] += x;
      };
      with_entries(program, gate, range(size(), part), range(size(), part + 1),
                   [&](uint32_t y, uint32_t e) {
                     T c = parameter(gate.is_sample, gate.at + e);
                     T d = gate.is_complex ? parameter(gate.is_sample, place(gate, e)) : 0;
                     T a = c * re[y] + d * im[y], b = c * im[y] - d * re[y];
                     T g = gre[y], h = gim[y];
                     re[y] = a, im[y] = b;
                     gre[y] = c * g + d * h, gim[y] = c * h - d * g;
                     if (!gate.wants_gradient) return;
                     add(gate.at + e, g * a + h * b);
                     if (gate.is_complex) add(place(gate, e), h * a - g * b);
                   });
    });
  }

  // ---- the initial state: an outer product of two halves -------------------------------

  struct Halves {
    Parts<T> high, low;
    size_t n_high, n_low;
    T *high_re, *high_im, *low_re, *low_im;      // their products
    T *g_high_re, *g_high_im, *g_low, *kept;     // g_low: of each part, real and imaginary
    T* words;                                    // of each part
  };

  static Parts<T> high_of(const Program& program) {
    const Part* last = program.parts + program.n_parts;
    int bits = 0, wanted = program.n_bits / 2 > L::BITS ? program.n_bits / 2 : L::BITS;
    while (last > program.parts && bits < wanted) bits += (--last)->k;
    return {program.parts, last};
  }

  // Numbers of memory that all parts share.
  static size_t common(const Program& program, int parts) {
    Parts<T> high = high_of(program);
    size_t n = high.size(), m = (size_t(1) << program.n_bits) / n;
    n = n > size_t(L::N) ? n : L::N;
    return 4 * n + (2 + 2 * parts) * m + 2 * (n > m ? n : m) + parts * (program.n_words + L::N);
  }

  T entry(const Part& part, size_t i, bool imaginary) const {
    if (part.sort != ANGLE) return parameter(part.is_sample, place(part, i, imaginary));
    T t = parameter(part.is_sample, part.at);
    return i ? std::sin(t) : std::cos(t);
  }

  Halves halves(T* common) const {
    Halves h;
    h.high = high_of(program), h.low = {h.high.last, program.parts + program.n_parts};
    h.n_high = h.high.size(), h.n_low = size() / h.n_high;
    size_t n = h.n_high > size_t(L::N) ? h.n_high : L::N, m = h.n_low;
    h.low_re = common, h.low_im = h.low_re + m, h.g_low = h.low_im + m;
    h.high_re = h.g_low + 2 * share.parts * m, h.high_im = h.high_re + n;
    h.g_high_re = h.high_im + n, h.g_high_im = h.g_high_re + n;
    h.kept = h.g_high_im + n;
    h.words = h.kept + 2 * (n > m ? n : m);
    auto get = [this](const Part& part, size_t i, bool imaginary) {
      return entry(part, i, imaginary);
    };
    h.high.multiply(h.high_re, h.high_im, get);
    h.low.multiply(h.low_re, h.low_im, get);
    return h;
  }

  void start(const Halves& h, T* state) const {
    in_parts([&](int part, V*) {
      size_t n = h.n_low / L::N;
      const V *c = reinterpret_cast<V*>(h.low_re), *d = reinterpret_cast<V*>(h.low_im);
      for (size_t i = range(h.n_high, part); i < range(h.n_high, part + 1); i++) {
        V a = L::all(h.high_re[i]), b = L::all(h.high_im[i]);
        V* re = reinterpret_cast<V*>(state) + i * n;
        V* im = re + size() / L::N;
        for (size_t l = 0; l < n; l++) {
          re[l] = a * c[l] - b * d[l];
          im[l] = a * d[l] + b * c[l];
        }
      }
    });
  }

  void start_back(const Halves& h, T* g, V* sums) const {
    in_parts([&](int part, V*) {
      size_t n = h.n_low / L::N;
      const V *c = reinterpret_cast<V*>(h.low_re), *d = reinterpret_cast<V*>(h.low_im);
      V* lre = reinterpret_cast<V*>(h.g_low) + 2 * part * n;
      V* lim = lre + n;
      clear(lre, 2 * n);
      for (size_t i = range(h.n_high, part); i < range(h.n_high, part + 1); i++) {
        V a = L::all(h.high_re[i]), b = L::all(h.high_im[i]), x{}, y{};
        const V* re = reinterpret_cast<V*>(g) + i * n;
        const V* im = re + size() / L::N;
        for (size_t l = 0; l < n; l++) {
          V u = re[l], w = im[l];
          x += c[l] * u + d[l] * w, y += c[l] * w - d[l] * u;
          lre[l] += a * u + b * w, lim[l] += a * w - b * u;
        }
        T real = 0, imaginary = 0;
        for (int l = 0; l < L::N; l++) real += x[l], imaginary += y[l];
        h.g_high_re[i] = real, h.g_high_im[i] = imaginary;
      }
    });
    T* low = h.g_low;
    for (int part = 1; part < share.parts; part++)
      for (size_t l = 0; l < 2 * h.n_low; l++) low[l] += low[2 * part * h.n_low + l];
    auto get = [this](const Part& part, size_t i, bool imaginary) {
      return entry(part, i, imaginary);
    };
    auto give = [&](const Part& part, size_t i, bool imaginary, T x) {
      bool is_angle = part.sort == ANGLE;
      T slope = !is_angle ? 1 : i ? entry(part, 0, false) : -entry(part, 1, false);
      int64_t at = is_angle ? part.at : place(part, i, imaginary);
      reinterpret_cast<T*>(sums + sum_of(part.is_sample, at))[0] += slope * x;
    };
    if (h.high.first < h.high.last)
      h.high.multiply_back(h.g_high_re, h.g_high_im, h.kept, get, give);
    h.low.multiply_back(low, low + h.n_low, h.kept, get, give);
  }

  // ---- means of words ----------------------------------------------------------------

  int tile() const { return least(program.n_bits, SUM_BITS); }

  void read(const Halves& h, const T* state, T* words) const {
    const T *re = state, *im = state + size();
    size_t n = size_t(1) << tile(), stride = program.n_words;
    in_parts([&](int part, V* scratch) {
      T *means = h.words + part * stride, *weights = reinterpret_cast<T*>(scratch);
      clear(means, program.n_words);
      for (size_t i = range(size() / n, part); i < range(size() / n, part + 1); i++)
        for (int one = 0, last; one < program.n_words; one = last) {
          last = alike(program, one);
          uint32_t flip = program.words[one].flip, from = i * n;
          const T *a = re + from, *b = im + from;
          if (flip == 0) {
            for (size_t y = 0; y < n; y++) weights[y] = a[y] * a[y] + b[y] * b[y];
          } else {
            bool odd = program.words[one].is_odd;
            for (size_t y = 0; y < n; y++) {
              T c = re[(from + y) ^ flip], d = im[(from + y) ^ flip];
              weights[y] = odd ? d * a[y] - c * b[y] : c * a[y] + d * b[y];
            }
          }
          L::walsh_of_numbers(scratch, tile());
          for (int w = one; w < last; w++)
            means[w] += weights[program.words[w].mask & (n - 1)] * sign_of(program.words[w], from);
        }
    });
    for (int w = 0; w < program.n_words; w++) {
      T sum = 0;
      for (int part = 0; part < share.parts; part++) sum += h.words[part * stride + w];
      words[program.words[w].row * batch + sample] = sum;
    }
  }

  void read_back(const T* of_words, const T* state, T* planes) const {
    const T *re = state, *im = state + size();
    size_t n = size_t(1) << tile();
    in_parts([&](int part, V* scratch) {
      T* weights = reinterpret_cast<T*>(scratch);
      for (size_t i = range(size() / n, part); i < range(size() / n, part + 1); i++) {
        uint32_t from = i * n;
        T *own = planes + from, *g = planes + 2 * size() + from, *h = g + size();
        memcpy(own, re + from, n * sizeof(T));
        memcpy(own + size(), im + from, n * sizeof(T));
        clear(g, n), clear(h, n);
        for (int one = 0, last; one < program.n_words; one = last) {
          last = alike(program, one);
          clear(weights, n);
          for (int w = one; w < last; w++) {
            const Word& word = program.words[w];
            weights[word.mask & (n - 1)] +=
                2 * of_words[word.row * batch + sample] * sign_of(word, from);
          }
          L::walsh_of_numbers(scratch, tile());
          uint32_t flip = program.words[one].flip;
          bool odd = program.words[one].is_odd;
          for (size_t y = 0; y < n; y++) {
            T a = re[(from + y) ^ flip], b = im[(from + y) ^ flip];
            g[y] += weights[y] * (odd ? b : a);
            h[y] += weights[y] * (odd ? -a : b);
          }
        }
      }
    });
  }

  // ---- the program -------------------------------------------------------------------

  // Bytes of a worker.
  static size_t scratch(const Program& program) {
    size_t largest = 0;
    for (const Pass& pass : *program.passes)
      if (pass.blocks.place.size() > largest) largest = pass.blocks.place.size();
    size_t tiles = Phases<T>::SCRATCH + (size_t(1) << SUM_BITS >> L::BITS);
    return (4 * largest + Samples<T>::matrices(program) + tiles) * BYTES;
  }

  void forward(T* words, T* state, T* common) const {
    Halves h = halves(common);
    start(h, state);
    for (const Pass& pass : *program.passes)
      if (pass.way == PHASES) phases(pass, state);
      else if (pass.way == NUMBERS) numbers(program.gates[pass.first], state);
      else run(pass, state);
    read(h, state, words);
  }

  // `planes`: the state and its g; `sums`: of each part.
  void backward(const T* of_words, const T* state, T* of_samples, T* planes, V* sums,
                T* common) const {
    Halves h = halves(common);
    for (int part = 0; part < share.parts; part++)
      clear(sums + part * n_sums() + program.n_shared, program.n_samples);
    read_back(of_words, state, planes);
    for (size_t p = program.passes->size(); p-- > 0;) {
      const Pass& pass = (*program.passes)[p];
      if (pass.way == PHASES) phases_back(pass, planes, sums);
      else if (pass.way == NUMBERS) numbers_back(program.gates[pass.first], planes, sums);
      else run_back(pass, planes, sums);
    }
    start_back(h, planes + 2 * size(), sums);
    for (int64_t row = 0; row < program.n_samples; row++) {
      T sum = 0;
      for (int part = 0; part < share.parts; part++)
        for (int l = 0; l < L::N; l++)
          sum += sums[part * n_sums() + program.n_shared + row][l];
      of_samples[row * batch + sample] = sum;
    }
  }
};

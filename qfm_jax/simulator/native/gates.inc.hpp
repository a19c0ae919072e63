// Gates on states whose amplitudes are vectors: 2^n_bits of them, real parts and
// imaginary parts apart. What the lanes of a vector are, `Source` knows: it gives the
// entries of a gate's matrix, and takes their gradients.

template <class T, class Source>
struct Gates {
  using L = Lanes<T>;
  using V = typename L::V;
  struct Complex {
    V re, im;
  };

  Source source;
  int n_bits;
  V* scratch;  // two matrices

  size_t size() const { return size_t(1) << n_bits; }

  // The i-th amplitude whose bits above each of `below` (in rising order) are all 0.
  template <int K>
  static uint32_t spread(uint32_t i, const uint32_t* below) {
    for (int t = 0; t < K; t++) i = ((i & ~below[t]) << 1) | (i & below[t]);
    return i;
  }

  template <bool COMPLEX>
  Complex entry(const Gate& gate, int i) const {
    return {source.entry(gate, i, false), COMPLEX ? source.entry(gate, i, true) : V{}};
  }

  // ---- on one bit --------------------------------------------------------------------

  struct Pairs {
    uint32_t below, flip, reads, constant;
    explicit Pairs(const Gate& g)
        : below(pivots_of(g) - 1), flip(g.flip[0]), reads(g.reads[0]),
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
    for (int i = 0; i < 4; i++) m[i] = entry<COMPLEX>(gate, i);
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
  void one_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    Complex m[4];  // the adjoint
    for (int i = 0; i < 4; i++) {
      Complex c = entry<COMPLEX>(gate, i);
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
      source.give(gate, i, false, x[i]);
      if (COMPLEX) source.give(gate, i, true, w[i]);
    }
  }

  // ---- on two to five bits -----------------------------------------------------------

  template <int K>
  struct Sets {
    static constexpr int SIDE = 1 << K;
    uint32_t below[K], offset[SIDE], reads[K], constant;
    explicit Sets(const Gate& g) : constant(g.constant) {
      uint32_t pivots = pivots_of(g);
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
  static void multiply(const Complex* m, const V* xr, const V* xi, V* yr, V* yi) {
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
  void several(const Gate& gate, V* re, V* im) const {
    constexpr int SIDE = 1 << K;
    Complex* m = reinterpret_cast<Complex*>(scratch);
    for (int i = 0; i < SIDE * SIDE; i++) m[i] = entry<COMPLEX>(gate, i);
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
  void several_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    constexpr int SIDE = 1 << K, ALL = SIDE * SIDE;
    Complex* m = reinterpret_cast<Complex*>(scratch);  // the adjoint
    Complex* grown = m + ALL;
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        Complex c = entry<COMPLEX>(gate, i * SIDE + j);
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
      source.give(gate, i, false, grown[i].re);
      if (COMPLEX) source.give(gate, i, true, grown[i].im);
    }
  }

  // ---- on three to five bits, with one matrix for all lanes ----------------------------

  static constexpr int TILE = 4;  // rows, and sets of amplitudes, that are worked on at once

  // y = m x for TILE sets, x and y of (set, SIDE): numbers of the matrix stay numbers, and
  // each is used for two sets.
  template <int K, bool COMPLEX>
  static void multiply_tile(const T* m, const V* xr, const V* xi, V* yr, V* yi) {
    constexpr int SIDE = 1 << K;
    const T* n = m + SIDE * SIDE;  // imaginary parts
    for (int i = 0; i < SIDE; i += TILE)
      for (int s = 0; s < TILE; s += 2) {
        V a[TILE][2] = {}, b[TILE][2] = {};
        for (int j = 0; j < SIDE; j++)
          for (int u = 0; u < 2; u++) {
            V x = xr[(s + u) * SIDE + j], y = xi[(s + u) * SIDE + j];
            for (int r = 0; r < TILE; r++) {
              T c = m[(i + r) * SIDE + j];
              a[r][u] += c * x, b[r][u] += c * y;
              if (COMPLEX) {
                T d = n[(i + r) * SIDE + j];
                a[r][u] -= d * y, b[r][u] += d * x;
              }
            }
          }
        for (int r = 0; r < TILE; r++)
          for (int u = 0; u < 2; u++)
            yr[(s + u) * SIDE + i + r] = a[r][u], yi[(s + u) * SIDE + i + r] = b[r][u];
      }
  }

  // grown += g conj(y)^T, summed over TILE sets.
  template <int K, bool COMPLEX>
  static void grow_tile(V* grown, const V* gr, const V* gi, const V* yr, const V* yi) {
    constexpr int SIDE = 1 << K, ALL = SIDE * SIDE;
    for (int i = 0; i < SIDE; i += TILE)
      for (int j = 0; j < SIDE; j += 2) {
        V a[TILE][2], b[TILE][2];
        for (int r = 0; r < TILE; r++)
          for (int u = 0; u < 2; u++) {
            a[r][u] = grown[(i + r) * SIDE + j + u];
            if (COMPLEX) b[r][u] = grown[ALL + (i + r) * SIDE + j + u];
          }
        for (int s = 0; s < TILE; s++)
          for (int u = 0; u < 2; u++) {
            V y = yr[s * SIDE + j + u], z = yi[s * SIDE + j + u];
            for (int r = 0; r < TILE; r++) {
              V g = gr[s * SIDE + i + r], h = gi[s * SIDE + i + r];
              a[r][u] += g * y + h * z;
              if (COMPLEX) b[r][u] += h * y - g * z;
            }
          }
        for (int r = 0; r < TILE; r++)
          for (int u = 0; u < 2; u++) {
            grown[(i + r) * SIDE + j + u] = a[r][u];
            if (COMPLEX) grown[ALL + (i + r) * SIDE + j + u] = b[r][u];
          }
      }
  }

  template <int K>
  static void gather(const Sets<K>& sets, uint32_t first, const V* from, V* to) {
    for (int s = 0; s < TILE; s++) {
      uint32_t y = sets.at(first + s);
      for (int c = 0; c < 1 << K; c++) to[(s << K) + c] = from[y ^ sets.offset[c]];
    }
  }
  template <int K>
  static void scatter(const Sets<K>& sets, uint32_t first, const V* from, V* to) {
    for (int s = 0; s < TILE; s++) {
      uint32_t y = sets.at(first + s);
      for (int c = 0; c < 1 << K; c++) to[y ^ sets.offset[c]] = from[(s << K) + c];
    }
  }

  template <int K, bool COMPLEX>
  void shared(const Gate& gate, V* re, V* im) const {
    constexpr int SIDE = 1 << K;
    const T* m = source.matrix(gate);
    Sets<K> sets(gate);
    V xr[TILE * SIDE], xi[TILE * SIDE], yr[TILE * SIDE], yi[TILE * SIDE];
    for (uint32_t s = 0; s < size() >> K; s += TILE) {
      gather<K>(sets, s, re, xr), gather<K>(sets, s, im, xi);
      multiply_tile<K, COMPLEX>(m, xr, xi, yr, yi);
      scatter<K>(sets, s, yr, re), scatter<K>(sets, s, yi, im);
    }
  }

  template <int K, bool COMPLEX>
  void shared_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    constexpr int SIDE = 1 << K, ALL = SIDE * SIDE;
    T m[2 * ALL];  // the adjoint
    const T* given = source.matrix(gate);
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        m[j * SIDE + i] = given[i * SIDE + j];
        if (COMPLEX) m[ALL + j * SIDE + i] = -given[ALL + i * SIDE + j];
      }
    V* grown = scratch;
    clear(grown, 2 * ALL);
    Sets<K> sets(gate);
    V xr[TILE * SIDE], xi[TILE * SIDE], yr[TILE * SIDE], yi[TILE * SIDE];
    for (uint32_t s = 0; s < size() >> K; s += TILE) {
      gather<K>(sets, s, re, xr), gather<K>(sets, s, im, xi);
      multiply_tile<K, COMPLEX>(m, xr, xi, yr, yi);
      scatter<K>(sets, s, yr, re), scatter<K>(sets, s, yi, im);
      gather<K>(sets, s, gre, xr), gather<K>(sets, s, gim, xi);
      if (gate.wants_gradient) grow_tile<K, COMPLEX>(grown, xr, xi, yr, yi);
      multiply_tile<K, COMPLEX>(m, xr, xi, yr, yi);
      scatter<K>(sets, s, yr, gre), scatter<K>(sets, s, yi, gim);
    }
    if (!gate.wants_gradient) return;
    for (int i = 0; i < ALL; i++) {
      source.give(gate, i, false, grown[i]);
      if (COMPLEX) source.give(gate, i, true, grown[ALL + i]);
    }
  }

  template <int K>
  bool is_shared(const Gate& gate) const {
    return source.matrix(gate) && size() >> K >= TILE;
  }

  // ---- turns -------------------------------------------------------------------------

  // Of amplitudes a and b: a turn, or its inverse with -sine.
  static void turn(V c, V s, V& a, V& b) {
    V x = c * a - s * b;
    b = s * a + c * b;
    a = x;
  }

  template <int K>
  struct Turns {
    V c[K], s[K];
  };
  template <int K>
  Turns<K> turns(const Gate* gates) const {
    Turns<K> found;
    for (int t = 0; t < K; t++) L::turn(source.angle(gates[t], t), found.s[t], found.c[t]);
    return found;
  }

  // K turns on different bits, whose places `all` tells.
  template <int K>
  void turned(const Gate* gates, const Gate& all, V* re, V* im) const {
    Turns<K> m = turns<K>(gates);
    Sets<K> sets(all);
    for (uint32_t i = 0; i < size() >> K; i++) {
      uint32_t y = sets.at(i);
      V a[1 << K], b[1 << K];
      for (int c = 0; c < 1 << K; c++) a[c] = re[y ^ sets.offset[c]], b[c] = im[y ^ sets.offset[c]];
      for (int t = 0; t < K; t++)
        for (int c = 0; c < 1 << K; c++)
          if (!(c >> t & 1)) {
            turn(m.c[t], m.s[t], a[c], a[c | 1 << t]);
            turn(m.c[t], m.s[t], b[c], b[c | 1 << t]);
          }
      for (int c = 0; c < 1 << K; c++) re[y ^ sets.offset[c]] = a[c], im[y ^ sets.offset[c]] = b[c];
    }
  }

  // d/dt of a turn is the turn times ((0, -1), (1, 0)), which commutes with all K.
  template <int K>
  void turned_back(const Gate* gates, const Gate& all, V* re, V* im, V* gre, V* gim) const {
    Turns<K> m = turns<K>(gates);
    Sets<K> sets(all);
    V grown[K] = {};
    for (uint32_t i = 0; i < size() >> K; i++) {
      uint32_t y = sets.at(i);
      V a[1 << K], b[1 << K], ga[1 << K], gb[1 << K];
      for (int c = 0; c < 1 << K; c++) {
        uint32_t at = y ^ sets.offset[c];
        a[c] = re[at], b[c] = im[at], ga[c] = gre[at], gb[c] = gim[at];
      }
      for (int t = 0; t < K; t++)
        for (int c = 0; c < 1 << K; c++)
          if (!(c >> t & 1)) {
            int d = c | 1 << t;
            turn(m.c[t], -m.s[t], a[c], a[d]);
            turn(m.c[t], -m.s[t], b[c], b[d]);
            turn(m.c[t], -m.s[t], ga[c], ga[d]);
            turn(m.c[t], -m.s[t], gb[c], gb[d]);
          }
      for (int t = 0; t < K; t++)
        for (int c = 0; c < 1 << K; c++)
          if (!(c >> t & 1)) {
            int d = c | 1 << t;
            grown[t] += ga[d] * a[c] - ga[c] * a[d] + gb[d] * b[c] - gb[c] * b[d];
          }
      for (int c = 0; c < 1 << K; c++) {
        uint32_t at = y ^ sets.offset[c];
        re[at] = a[c], im[at] = b[c], gre[at] = ga[c], gim[at] = gb[c];
      }
    }
    for (int t = 0; t < K; t++)
      if (gates[t].wants_gradient) source.give_angle(gates[t], t, grown[t]);
  }

  // ---- one phase ---------------------------------------------------------------------

  // exp(+-i t), with the sign where the parity of y & reads is even.
  Complex phase_of(const Gate& gate, bool backwards) const {
    Complex e;
    L::turn(source.angle(gate, 0), e.im, e.re);
    if (backwards ^ (gate.constant & 1)) e.im = -e.im;
    return e;
  }

  void phase(const Gate& gate, V* re, V* im) const {
    Complex e = phase_of(gate, false);
    uint32_t reads = gate.reads[0];
    for (uint32_t y = 0; y < size(); y++) {
      V s = odd(y & reads) ? -e.im : e.im;
      V a = re[y], b = im[y];
      re[y] = e.re * a - s * b;
      im[y] = e.re * b + s * a;
    }
  }

  void phase_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    Complex e = phase_of(gate, true);
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
    if (gate.wants_gradient) source.give_angle(gate, 0, gate.constant & 1 ? -grown : grown);
  }

  // ---- any ---------------------------------------------------------------------------

  template <int K, bool COMPLEX>
  void wide(const Gate& gate, V* re, V* im) const {
    if (is_shared<K>(gate)) shared<K, COMPLEX>(gate, re, im);
    else several<K, COMPLEX>(gate, re, im);
  }
  template <int K, bool COMPLEX>
  void wide_back(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    if (is_shared<K>(gate)) shared_back<K, COMPLEX>(gate, re, im, gre, gim);
    else several_back<K, COMPLEX>(gate, re, im, gre, gim);
  }

  template <bool COMPLEX>
  void apply(const Gate& gate, V* re, V* im) const {
    switch (gate.k) {
      case 1: return one<COMPLEX>(gate, re, im);
      case 2: return several<2, COMPLEX>(gate, re, im);
      case 3: return wide<3, COMPLEX>(gate, re, im);
      case 4: return wide<4, COMPLEX>(gate, re, im);
      case 5: return wide<5, COMPLEX>(gate, re, im);
    }
  }

  template <bool COMPLEX>
  void undo(const Gate& gate, V* re, V* im, V* gre, V* gim) const {
    switch (gate.k) {
      case 1:
        return gate.wants_gradient ? one_back<COMPLEX, true>(gate, re, im, gre, gim)
                                   : one_back<COMPLEX, false>(gate, re, im, gre, gim);
      case 2: return several_back<2, COMPLEX>(gate, re, im, gre, gim);
      case 3: return wide_back<3, COMPLEX>(gate, re, im, gre, gim);
      case 4: return wide_back<4, COMPLEX>(gate, re, im, gre, gim);
      case 5: return wide_back<5, COMPLEX>(gate, re, im, gre, gim);
    }
  }

  void run(const Step& step, V* re, V* im) const {
    const Gate& gate = step.gates[0];
    if (step.count == 2) turned<2>(step.gates, step.pair, re, im);
    else if (gate.kind == TURN) turned<1>(&gate, gate, re, im);
    else if (gate.kind == PHASE) phase(gate, re, im);
    else if (gate.is_complex) apply<true>(gate, re, im);
    else apply<false>(gate, re, im);
  }

  void run_back(const Step& step, V* re, V* im, V* gre, V* gim) const {
    const Gate& gate = step.gates[0];
    if (step.count == 2) turned_back<2>(step.gates, step.pair, re, im, gre, gim);
    else if (gate.kind == TURN) turned_back<1>(&gate, gate, re, im, gre, gim);
    else if (gate.kind == PHASE) phase_back(gate, re, im, gre, gim);
    else if (gate.is_complex) undo<true>(gate, re, im, gre, gim);
    else undo<false>(gate, re, im, gre, gim);
  }
};

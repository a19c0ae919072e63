// Vectors of one instruction set, and sums over them.

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
static inline bool odd(uint32_t bits) { return __builtin_parity(bits); }

template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float type __attribute__((vector_size(BYTES)));
  typedef int32_t integers __attribute__((vector_size(BYTES)));
};
template <>
struct Vector<double> {
  typedef double type __attribute__((vector_size(BYTES)));
  typedef int64_t integers __attribute__((vector_size(BYTES)));
};

template <class T>
struct Lanes {
  using V = typename Vector<T>::type;
  using I = typename Vector<T>::integers;
  using Int = decltype(I{}[0] + 0);
  static constexpr int N = BYTES / sizeof(T);
  static constexpr int BITS = N == 2 ? 1 : N == 4 ? 2 : N == 8 ? 3 : 4;

  static V all(T x) { return V{} + x; }

  static I numbers() {
    I i;
    for (int l = 0; l < N; l++) i[l] = l;
    return i;
  }

  // Lane l of the result is lane l ^ k.
  static V crossed(V x, int k) {
#if defined(__clang__)
    V y;
    for (int l = 0; l < N; l++) y[l] = x[l ^ k];
    return y;
#else
    return __builtin_shuffle(x, numbers() ^ k);
#endif
  }

  // Sums over y with signs (-1)^(bits of y & mask), for every mask of n bits, in place.
  template <class X>
  static void walsh(X* x, int n, int first = 0) {
    size_t all = size_t(1) << n;
    for (size_t step = size_t(1) << first; step < all; step *= 2)
      for (size_t from = 0; from < all; from += 2 * step)
        for (size_t y = from; y < from + step; y++) {
          X a = x[y], b = x[y + step];
          x[y] = a + b, x[y + step] = a - b;
        }
  }

  // The same of 2^n numbers side by side, of which there are at least N.
  static void walsh_of_numbers(V* x, int n) {
    for (int bit = 0; bit < BITS; bit++) {
      V sign;
      for (int l = 0; l < N; l++) sign[l] = l >> bit & 1 ? -1 : 1;
      for (size_t i = 0; i < size_t(1) << (n - BITS); i++)
        x[i] = crossed(x[i], 1 << bit) + sign * x[i];
    }
    walsh(x, n - BITS);
  }

  // Lane l of the result is the sum over all lanes of rows[l], which are overwritten.
  static V sums(V* rows) {
    for (int step = N / 2; step > 0; step /= 2) {
      I upper = (numbers() & step) != 0;
      for (int i = 0; i < step; i++) {
        V a = rows[i], b = rows[i + step];
        rows[i] = (upper ? b : a) + crossed(upper ? a : b, step);
      }
    }
    return rows[0];
  }

  // Sine and cosine, to the last digit or two, of angles up to some thousands.
  static void turn(V x, V& sine, V& cosine) {
    // x = q pi / 2 + r: q by a number whose last digit is 1, pi / 2 in three parts.
    constexpr bool F = sizeof(T) == 4;
    const T round = F ? T(12582912) : T(6755399441055744);
    V shifted = x * T(0.63661977236758134308) + round, q = shifted - round;
    I quarter = (I)shifted;
    V r = x - q * (F ? T(1.5703125) : T(1.57079625129699707031));
    r = r - q * (F ? T(4.837512969970703125e-4) : T(7.54978941586159635335e-8));
    r = r - q * (F ? T(7.549789948768648e-8) : T(5.39030285815811905290e-15));
    V z = r * r;
    // Taylor's polynomials, their last digits fitted (S. Moshier, Cephes).
    V s = all(T(1.58962301576546568060e-10));
    s = s * z - T(2.50507477628578072866e-8);
    s = s * z + T(2.75573136213857245213e-6);
    s = s * z - T(1.98412698295895385996e-4);
    s = s * z + T(8.33333333332211858878e-3);
    s = s * z - T(1.66666666666666307295e-1);
    s = s * z * r + r;
    V c = all(T(-1.13585365213876817300e-11));
    c = c * z + T(2.08757008419747316778e-9);
    c = c * z - T(2.75573141792967388112e-7);
    c = c * z + T(2.48015872888517045348e-5);
    c = c * z - T(1.38888888888730564116e-3);
    c = c * z + T(4.16666666666665929218e-2);
    c = c * z * z - T(0.5) * z + T(1);
    I swap = (quarter & 1) != 0;
    V a = swap ? c : s, b = swap ? s : c;
    sine = (quarter & 2) != 0 ? -a : a;
    cosine = ((quarter + 1) & 2) != 0 ? -b : b;
  }
};

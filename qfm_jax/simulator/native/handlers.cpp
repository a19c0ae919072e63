// XLA's calls: sizes are checked, chunks of samples are shared out among XLA's threads.
//
// Which thread takes a chunk changes nothing: gradients of what the batch shares are
// added up in shares of the chunks that depend on the batch alone, and then in their order.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "passes.hpp"
#include "kernels.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace qfm {

#if defined(QFM_X86)
#define FOR_EACH_SET(F) F(baseline) F(avx2) F(avx512)
#else
#define FOR_EACH_SET(F) F(baseline)
#endif
#define DECLARE(name)        \
  namespace name {           \
  template <class T>         \
  Kernels<T> make();         \
  extern template Kernels<float> make<float>();   \
  extern template Kernels<double> make<double>(); \
  }
FOR_EACH_SET(DECLARE)

// QFM_NATIVE=avx2 or baseline choose narrower vectors than the processor has.
template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T> chosen = [] {
    const char* asked = getenv("QFM_NATIVE");
    std::string most = asked ? asked : "";
#if defined(QFM_X86)
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    if (has_avx512 && most != "avx2" && most != "baseline") return avx512::make<T>();
    if (has_avx2 && most != "baseline") return avx2::make<T>();
#endif
    return baseline::make<T>();
  }();
  return chosen;
}

constexpr int HEADER = 8, GATE = sizeof(Gate) / 4, WORD = sizeof(Word) / 4;
constexpr int64_t MOST_SHARES = 64;
// Of states that are larger, amplitudes are side by side, not samples.
constexpr int LARGEST_SIDE_BY_SIDE = 12;

ffi::Error wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "qfm.statevector's native kernels: " + what);
}

// The program in an array of integers; what it says is not trusted.
ffi::Error parse(ffi::Span<const int32_t> code, int64_t n_shared, int64_t n_samples, Program& p) {
  if (code.size() < HEADER) return wrong("the program is too short");
  p.n_bits = code[0], p.n_parts = code[1], p.n_gates = code[2], p.n_words = code[3];
  p.n_masks = code[7];
  if (p.n_bits < 1 || p.n_bits > MAX_BITS || p.n_parts < 1 || p.n_parts > MAX_BITS ||
      p.n_gates < 0 || p.n_words < 0 || p.n_masks < 0)
    return wrong("the program's numbers of wires, gates or words are out of range");
  int64_t length = HEADER + 4 * int64_t(p.n_parts) + GATE * int64_t(p.n_gates) + WORD * int64_t(p.n_words) +
                   p.n_masks;
  if (int64_t(code.size()) != length || code[4] != length)
    return wrong("the program has another length than it says");
  p.n_shared = n_shared, p.n_samples = n_samples;
  if (code[5] != n_shared || code[6] != n_samples)
    return wrong("the parameters have other sizes than the program says");
  const int32_t* at = code.begin() + HEADER;
  p.parts = reinterpret_cast<const Part*>(at);
  p.gates = reinterpret_cast<const Gate*>(at + 4 * p.n_parts);
  p.words = reinterpret_cast<const Word*>(at + 4 * p.n_parts + GATE * p.n_gates);
  p.masks = at + 4 * p.n_parts + GATE * p.n_gates + WORD * p.n_words;
  int bits = 0;
  auto inside = [&](int32_t from, int64_t size, bool is_sample) {
    return from >= 0 && from + size <= (is_sample ? n_samples : n_shared);
  };
  for (int i = 0; i < p.n_parts; i++) {
    const Part& part = p.parts[i];
    if (part.k < 1 || part.k > p.n_bits) return wrong("a part of the initial state is too wide");
    bits += part.k;
    int64_t size = part.sort == ANGLE ? 1 : (int64_t(1) << part.k) << (part.sort == COMPLEX);
    if (part.sort < REAL || part.sort > ANGLE || (part.sort == ANGLE && part.k != 1))
      return wrong("a part of the initial state is of no known sort");
    if (!inside(part.at, size, part.is_sample))
      return wrong("a part of the initial state is read outside of the parameters");
  }
  if (bits != p.n_bits) return wrong("the parts of the initial state do not make up all wires");
  uint32_t all = (uint32_t(1) << p.n_bits) - 1;
  for (int i = 0; i < p.n_gates; i++) {
    const Gate& g = p.gates[i];
    bool is_phase = g.kind == PHASE, is_angle = is_phase || g.kind == TURN;
    if (g.kind == DIAGONAL) {
      if (g.k < 1 || g.k > p.n_bits || g.flip[0] < 0 || int64_t(g.flip[0]) + g.k > p.n_masks ||
          g.constant < 0 || g.constant >> g.k)
        return wrong("a diagonal's wires are out of range");
      if (!inside(g.at, (int64_t(1) << g.k) << (g.is_complex ? 1 : 0), g.is_sample))
        return wrong("a diagonal is read outside of the parameters");
      continue;
    }
    if ((g.kind != MATRIX && !is_angle) || (is_angle && g.k != 1) || g.k < 1 ||
        g.k > MAX_WIRES || g.k > p.n_bits)
      return wrong("a gate is of no known kind or width");
    int64_t side = int64_t(1) << g.k, size = is_angle ? 1 : side * side << (g.is_complex ? 1 : 0);
    if (!inside(g.at, size, g.is_sample)) return wrong("a gate is read outside of the parameters");
    for (int t = 0; t < g.k; t++)
      if (uint32_t(g.flip[t]) > all || uint32_t(g.reads[t]) > all)
        return wrong("a gate's wires are out of range");
    if (!is_phase && __builtin_popcount(pivots_of(g)) != g.k)
      return wrong("a gate's flips depend on each other");
  }
  for (int i = 0; i < p.n_words; i++)
    if (uint32_t(p.words[i].mask) > all || uint32_t(p.words[i].flip) > all ||
        p.words[i].row < 0 || p.words[i].row >= p.n_words)
      return wrong("a word's wires or its row are out of range");
  return ffi::Error::Success();
}

// Memory of a worker, kept from call to call.
template <class T>
T* scratch_of_thread(size_t bytes) {
  static thread_local std::unique_ptr<void, decltype(&free)> memory(nullptr, &free);
  static thread_local size_t held = 0;
  if (held < bytes) {
    memory.reset();
    held = 0;
    memory.reset(aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (!memory) return nullptr;
    held = bytes;
  }
  return static_cast<T*>(memory.get());
}

// Runs work(0) to work(n - 1) on XLA's threads and this one, in any order; on this one
// alone where the work is done before others would wake up.
template <class F>
void share_out(ffi::ThreadPool& pool, int64_t n, bool is_little, F work) {
  if (is_little) {
    for (int64_t i = 0; i < n; i++) work(i);
    return;
  }
  struct Standing {
    std::atomic<int64_t> next{0}, done{0};
  };
  auto standing = std::make_shared<Standing>();  // outlives this call: threads may come late
  auto take = [standing, n, work] {
    for (int64_t i; (i = standing->next++) < n;) {
      work(i);
      standing->done++;
    }
  };
  int64_t helpers = std::min<int64_t>(pool.num_threads(), n) - 1;
  for (int64_t i = 0; i < helpers; i++) pool.Schedule([take] { take(); });
  take();
  while (standing->done < n) std::this_thread::yield();
}

constexpr int PARTS = 8;  // of the work on one sample, where samples are few
constexpr int64_t LITTLE = 8192;  // amplitudes times gates: some 20 us
// Of blocks of amplitudes: those of all lanes take half of a core's second cache.
constexpr int BLOCK_BITS = 11;

template <class T>
std::unique_ptr<T, decltype(&free)> allocate(size_t numbers) {
  return {static_cast<T*>(aligned_alloc(64, (numbers * sizeof(T) + 63) / 64 * 64)), &free};
}

ffi::Error no_memory() {
  return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                    "Out of memory: choose a smaller batch or fewer wires.");
}

// Samples that are side by side in a vector; 1 where amplitudes are. By the sizes alone,
// so that results do not depend on the number of threads.
template <class T>
int lanes(int n_bits, int64_t batch) {
  int bits = kernels<T>().lane_bits, all = 1 << bits;
  bool is_large = n_bits > LARGEST_SIDE_BY_SIDE, are_few = 2 * batch <= all;
  bool fits = n_bits >= bits + MAX_WIRES;  // a block in each lane, of any gate
  return fits && (is_large || are_few) ? 1 : all;
}

// A share of one worker, who does all parts, or of all of them.
struct Alone {
  void* scratch;
  Share share() {
    auto run = [](const Share& share, void (*work)(void*, int, void*), void* self) {
      work(self, 0, static_cast<Alone*>(share.context)->scratch);
    };
    return {1, run, this};
  }
};

struct Together {
  ffi::ThreadPool& pool;
  size_t bytes;  // of scratch memory
  std::atomic<bool> failed{false};
  Share share() {
    auto run = [](const Share& share, void (*work)(void*, int, void*), void* self) {
      Together& own = *static_cast<Together*>(share.context);
      share_out(own.pool, PARTS, false, [&own, work, self](int64_t part) {
        if (void* scratch = scratch_of_thread<char>(own.bytes)) work(self, int(part), scratch);
        else own.failed = true;
      });
    };
    return {PARTS, run, this};
  }
};

// What both directions have in common.
template <class T, ffi::DataType D>
struct Work {
  Program program;
  std::vector<Pass> passes;
  Call<T> call;
  const Kernels<T>& k = kernels<T>();
  int64_t chunks, size;  // size: numbers of a chunk's state
  int side;              // samples of a chunk
  bool is_little;
  std::atomic<bool> failed{false};

  ffi::Error read(ffi::Span<const int32_t> code, ffi::Buffer<D> shared, ffi::Buffer<D> samples) {
    if (shared.dimensions().size() != 1 || samples.dimensions().size() != 2)
      return wrong("the parameters have another number of axes");
    int64_t batch = samples.dimensions()[1];
    ffi::Error error = parse(code, shared.dimensions()[0], samples.dimensions()[0], program);
    if (error.failure()) return error;
    side = lanes<T>(program.n_bits, batch);
    passes = passes_of(program, side == 1 ? block_bits() : 0);
    program.passes = &passes;
    call = {&program, shared.typed_data(), samples.typed_data(), batch};
    chunks = (batch + side - 1) / side;
    size = (int64_t(2) << program.n_bits) * side;
    is_little = chunks * (program.n_gates + 4) << program.n_bits < LITTLE;
    return ffi::Error::Success();
  }

  // A layer of gates on all wires takes some passes: no block is larger than they need.
  int block_bits() const {
    int n = program.n_bits, most = std::min(BLOCK_BITS, n - k.lane_bits);
    int passes = (n + most - 1) / most;
    return std::max((n + passes - 1) / passes, MAX_WIRES);
  }

  bool is_few() const { return chunks < PARTS; }
};

template <class T, ffi::DataType D>
ffi::Error run_forward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                   ffi::Buffer<D> samples, ffi::ResultBuffer<D> words, ffi::ResultBuffer<D> state) {
  Work<T, D> w;
  ffi::Error error = w.read(code, shared, samples);
  if (error.failure()) return error;
  bool keeps = state->element_count() > 0;
  if (int64_t(words->element_count()) != w.program.n_words * w.call.batch ||
      (keeps && int64_t(state->element_count()) != w.chunks * w.size))
    return wrong("the results have other sizes than the program's");
  T *found = words->typed_data(), *states = state->typed_data();
  if (w.side == 1 && w.is_few()) {
    auto spare = allocate<T>(keeps ? 1 : w.size);
    auto common = allocate<T>(w.k.common(w.program, PARTS));
    if (!spare || !common) return no_memory();
    Together all{pool, w.k.scratch_of_part(w.program)};
    for (int64_t i = 0; i < w.chunks; i++)
      w.k.forward_one(w.call, i, all.share(), found, keeps ? states + i * w.size : spare.get(),
                      common.get());
    return all.failed ? no_memory() : ffi::Error::Success();
  }
  bool one = w.side == 1;
  int64_t own = (one ? w.k.scratch_of_part(w.program) : w.k.scratch(w.program, false)) / sizeof(T);
  int64_t common = one ? w.k.common(w.program, 1) + 64 : 0;
  share_out(pool, w.chunks, w.is_little, [&](int64_t i) {
    T* scratch = scratch_of_thread<T>((own + (keeps ? 0 : w.size) + common) * sizeof(T));
    if (!scratch) {
      w.failed = true;
      return;
    }
    T* at = keeps ? states + i * w.size : scratch + own;
    if (!one) return w.k.forward(w.call, i * w.side, found, at, scratch);
    Alone alone{scratch};
    w.k.forward_one(w.call, i, alone.share(), found, at, scratch + own + (keeps ? 0 : w.size));
  });
  return w.failed ? no_memory() : ffi::Error::Success();
}

template <class T, ffi::DataType D>
ffi::Error run_backward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                    ffi::Buffer<D> samples, ffi::Buffer<D> state, ffi::Buffer<D> of_words,
                    ffi::ResultBuffer<D> of_shared, ffi::ResultBuffer<D> of_samples) {
  Work<T, D> w;
  ffi::Error error = w.read(code, shared, samples);
  if (error.failure()) return error;
  if (int64_t(of_words.element_count()) != w.program.n_words * w.call.batch ||
      int64_t(state.element_count()) != w.chunks * w.size ||
      of_shared->element_count() != shared.element_count() ||
      of_samples->element_count() != samples.element_count())
    return wrong("the gradients have other sizes than the program's");
  bool one = w.side == 1, together = one && w.is_few();
  int64_t shares = together ? PARTS : std::min(w.chunks, MOST_SHARES);
  int lanes = 1 << w.k.lane_bits;
  int64_t wide = (w.program.n_shared + w.program.n_samples) * lanes;
  auto sums = allocate<T>(shares * wide);
  if (!sums) return no_memory();
  memset(sums.get(), 0, shares * wide * sizeof(T));
  const T *states = state.typed_data(), *given = of_words.typed_data();
  T* found = of_samples->typed_data();
  if (together) {
    auto planes = allocate<T>(2 * w.size);
    auto common = allocate<T>(w.k.common(w.program, PARTS));
    if (!planes || !common) return no_memory();
    Together all{pool, w.k.scratch_of_part(w.program)};
    for (int64_t i = 0; i < w.chunks; i++)
      w.k.backward_one(w.call, i, all.share(), given, states + i * w.size, found, planes.get(),
                       sums.get(), common.get());
    w.failed = all.failed.load();
  } else {
    int64_t own = (one ? w.k.scratch_of_part(w.program) : w.k.scratch(w.program, true)) / sizeof(T);
    int64_t more = one ? 2 * w.size + w.k.common(w.program, 1) : 0;
    share_out(pool, shares, w.is_little, [&](int64_t s) {
      T* scratch = scratch_of_thread<T>((own + more) * sizeof(T));
      if (!scratch) {
        w.failed = true;
        return;
      }
      T* sum = sums.get() + s * wide;
      Alone alone{scratch};
      for (int64_t i = w.chunks * s / shares; i < w.chunks * (s + 1) / shares; i++)
        if (one)
          w.k.backward_one(w.call, i, alone.share(), given, states + i * w.size, found,
                           scratch + own, sum, scratch + own + 2 * w.size);
        else
          w.k.backward(w.call, i * w.side, given, states + i * w.size, sum, found, scratch);
    });
  }
  if (w.failed) return no_memory();
  for (int64_t i = 0; i < w.program.n_shared; i++) {
    T sum = 0;
    for (int64_t s = 0; s < shares; s++)
      for (int lane = 0; lane < lanes; lane++) sum += sums.get()[s * wide + i * lanes + lane];
    of_shared->typed_data()[i] = sum;
  }
  return ffi::Error::Success();
}

// No exception leaves a call: the standard library throws where memory is short.
template <class... Arguments>
ffi::Error guarded(ffi::Error (*call)(Arguments...), Arguments... arguments) {
  try {
    return call(arguments...);
  } catch (const std::exception&) {
    return no_memory();
  }
}

template <class T, ffi::DataType D>
ffi::Error forward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                   ffi::Buffer<D> samples, ffi::ResultBuffer<D> words, ffi::ResultBuffer<D> state) {
  return guarded(&run_forward<T, D>, pool, code, shared, samples, words, state);
}

template <class T, ffi::DataType D>
ffi::Error backward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                    ffi::Buffer<D> samples, ffi::Buffer<D> state, ffi::Buffer<D> of_words,
                    ffi::ResultBuffer<D> of_shared, ffi::ResultBuffer<D> of_samples) {
  return guarded(&run_backward<T, D>, pool, code, shared, samples, state, of_words, of_shared,
                 of_samples);
}

}  // namespace qfm

#define FORWARD(D)                                                                     \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<ffi::Span<const int32_t>>("code")        \
      .Arg<ffi::Buffer<D>>().Arg<ffi::Buffer<D>>().Ret<ffi::Buffer<D>>().Ret<ffi::Buffer<D>>()
#define BACKWARD(D)                                                                    \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<ffi::Span<const int32_t>>("code")        \
      .Arg<ffi::Buffer<D>>().Arg<ffi::Buffer<D>>().Arg<ffi::Buffer<D>>().Arg<ffi::Buffer<D>>() \
      .Ret<ffi::Buffer<D>>().Ret<ffi::Buffer<D>>()

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(qfm_forward_f32, (qfm::forward<float, ffi::F32>), FORWARD(ffi::F32));
XLA_FFI_DEFINE_HANDLER_SYMBOL(qfm_forward_f64, (qfm::forward<double, ffi::F64>), FORWARD(ffi::F64));
XLA_FFI_DEFINE_HANDLER_SYMBOL(qfm_backward_f32, (qfm::backward<float, ffi::F32>), BACKWARD(ffi::F32));
XLA_FFI_DEFINE_HANDLER_SYMBOL(qfm_backward_f64, (qfm::backward<double, ffi::F64>), BACKWARD(ffi::F64));

// Of programs and calls: another one is not understood.
extern "C" int qfm_format() { return 3; }

// Samples whose final states are side by side, in vectors of so many.
extern "C" int qfm_lanes(int bytes_of_a_number, int n_bits, int64_t batch) {
  return bytes_of_a_number == 4 ? qfm::lanes<float>(n_bits, batch)
                                : qfm::lanes<double>(n_bits, batch);
}
#pragma GCC visibility pop

// XLA's calls: sizes are checked, chunks of samples are shared out among XLA's threads.
//
// Which thread takes a chunk changes nothing: gradients of what the batch shares are
// added up in shares of the chunks that depend on the batch alone, and then in their order.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "blocks.hpp"
#include "kernels.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace qfm {

#if defined(__x86_64__)
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
#if defined(__x86_64__)
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

constexpr int HEADER = 7, GATE = sizeof(Gate) / 4, WORD = sizeof(Word) / 4;
constexpr int64_t MOST_SHARES = 64;

ffi::Error wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "qfm.statevector's native kernels: " + what);
}

// The program in an array of integers; what it says is not trusted.
ffi::Error parse(ffi::Span<const int32_t> code, int64_t n_shared, int64_t n_samples, Program& p) {
  if (code.size() < HEADER) return wrong("the program is too short");
  p.n_bits = code[0], p.n_parts = code[1], p.n_gates = code[2], p.n_words = code[3];
  if (p.n_bits < 1 || p.n_bits > MAX_BITS || p.n_parts < 1 || p.n_parts > MAX_BITS ||
      p.n_gates < 0 || p.n_words < 0)
    return wrong("the program's numbers of wires, gates or words are out of range");
  int64_t length = HEADER + 4 * int64_t(p.n_parts) + GATE * int64_t(p.n_gates) + WORD * int64_t(p.n_words);
  if (int64_t(code.size()) != length || code[4] != length)
    return wrong("the program has another length than it says");
  p.n_shared = n_shared, p.n_samples = n_samples;
  if (code[5] != n_shared || code[6] != n_samples)
    return wrong("the parameters have other sizes than the program says");
  const int32_t* at = code.begin() + HEADER;
  p.parts = reinterpret_cast<const Part*>(at);
  p.gates = reinterpret_cast<const Gate*>(at + 4 * p.n_parts);
  p.words = reinterpret_cast<const Word*>(at + 4 * p.n_parts + GATE * p.n_gates);
  int bits = 0;
  auto inside = [&](int32_t from, int64_t size, bool is_sample) {
    return from >= 0 && from + size <= (is_sample ? n_samples : n_shared);
  };
  for (int i = 0; i < p.n_parts; i++) {
    const Part& part = p.parts[i];
    if (part.k < 1 || part.k > p.n_bits) return wrong("a part of the initial state is too wide");
    bits += part.k;
    if (!inside(part.at, (int64_t(1) << part.k) << (part.is_complex ? 1 : 0), part.is_sample))
      return wrong("a part of the initial state is read outside of the parameters");
  }
  if (bits != p.n_bits) return wrong("the parts of the initial state do not make up all wires");
  uint32_t all = (uint32_t(1) << p.n_bits) - 1;
  for (int i = 0; i < p.n_gates; i++) {
    const Gate& g = p.gates[i];
    bool is_phase = g.kind == PHASE;
    if ((g.kind != MATRIX && !is_phase) || g.k < 1 || g.k > MAX_WIRES || g.k > p.n_bits)
      return wrong("a gate is of no known kind or width");
    int64_t side = int64_t(1) << g.k, size = is_phase ? 1 : side * side << (g.is_complex ? 1 : 0);
    if (!inside(g.at, size, g.is_sample)) return wrong("a gate is read outside of the parameters");
    if (!is_phase && (uint32_t(g.pivots) > all || __builtin_popcount(g.pivots) != g.k))
      return wrong("a gate's pivots are out of range");
    for (int t = 0; t < g.k; t++)
      if (uint32_t(g.flip[t]) > all || uint32_t(g.reads[t]) > all)
        return wrong("a gate's wires are out of range");
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

// Runs work(0) to work(n - 1) on XLA's threads and this one, in any order.
template <class F>
void share_out(ffi::ThreadPool& pool, int64_t n, F work) {
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

int64_t chunks_of(int64_t batch, int lanes) { return (batch + lanes - 1) / lanes; }

template <class T, ffi::DataType D>
ffi::Error forward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                   ffi::Buffer<D> samples, ffi::ResultBuffer<D> words, ffi::ResultBuffer<D> state) {
  if (shared.dimensions().size() != 1 || samples.dimensions().size() != 2)
    return wrong("the parameters have another number of axes");
  Program p;
  int64_t batch = samples.dimensions()[1];
  ffi::Error error = parse(code, shared.dimensions()[0], samples.dimensions()[0], p);
  if (error.failure()) return error;
  const Kernels<T>& k = kernels<T>();
  std::vector<Group> groups;
  if (p.n_bits > k.block_bits) {
    groups = groups_of(p, k.block_bits);
    p.groups = &groups;
  }
  int64_t chunks = chunks_of(batch, k.lanes), size = int64_t(2) << p.n_bits;
  bool keeps = state->element_count() > 0;
  if (int64_t(words->element_count()) != p.n_words * batch ||
      (keeps && int64_t(state->element_count()) != chunks * size * k.lanes))
    return wrong("the results have other sizes than the program's");
  size_t bytes = k.scratch(p, false), own = keeps ? 0 : size * k.lanes * sizeof(T);
  std::atomic<bool> failed{false};
  share_out(pool, chunks, [&, p](int64_t i) {
    T* scratch = scratch_of_thread<T>(bytes + own);
    if (!scratch) {
      failed = true;
      return;
    }
    T* at = keeps ? state->typed_data() + i * size * k.lanes : scratch + bytes / sizeof(T);
    k.forward(p, shared.typed_data(), samples.typed_data(), batch, i * k.lanes,
              words->typed_data(), at, scratch);
  });
  if (failed) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "Out of memory: choose a smaller batch or fewer wires.");
  return ffi::Error::Success();
}

template <class T, ffi::DataType D>
ffi::Error backward(ffi::ThreadPool pool, ffi::Span<const int32_t> code, ffi::Buffer<D> shared,
                    ffi::Buffer<D> samples, ffi::Buffer<D> state, ffi::Buffer<D> of_words,
                    ffi::ResultBuffer<D> of_shared, ffi::ResultBuffer<D> of_samples) {
  if (shared.dimensions().size() != 1 || samples.dimensions().size() != 2)
    return wrong("the parameters have another number of axes");
  Program p;
  int64_t batch = samples.dimensions()[1];
  ffi::Error error = parse(code, shared.dimensions()[0], samples.dimensions()[0], p);
  if (error.failure()) return error;
  const Kernels<T>& k = kernels<T>();
  std::vector<Group> groups;
  if (p.n_bits > k.block_bits) {
    groups = groups_of(p, k.block_bits);
    p.groups = &groups;
  }
  int64_t chunks = chunks_of(batch, k.lanes), size = int64_t(2) << p.n_bits;
  if (int64_t(of_words.element_count()) != p.n_words * batch ||
      int64_t(state.element_count()) != chunks * size * k.lanes ||
      of_shared->element_count() != shared.element_count() ||
      of_samples->element_count() != samples.element_count())
    return wrong("the gradients have other sizes than the program's");
  int64_t shares = std::min(chunks, MOST_SHARES), wide = p.n_shared * k.lanes;
  std::unique_ptr<T, decltype(&free)> sums(
      static_cast<T*>(aligned_alloc(64, (shares * wide * sizeof(T) + 63) / 64 * 64)), &free);
  std::atomic<bool> failed{!sums};
  memset(of_samples->untyped_data(), 0, of_samples->size_bytes());
  size_t bytes = k.scratch(p, true);
  if (!failed) share_out(pool, shares, [&, p](int64_t g) {
    T* scratch = scratch_of_thread<T>(bytes);
    if (!scratch) {
      failed = true;
      return;
    }
    T* own = sums.get() + g * wide;
    memset(own, 0, wide * sizeof(T));
    for (int64_t i = chunks * g / shares; i < chunks * (g + 1) / shares; i++)
      k.backward(p, shared.typed_data(), samples.typed_data(), batch, i * k.lanes,
                 of_words.typed_data(), state.typed_data() + i * size * k.lanes, own,
                 of_samples->typed_data(), scratch);
  });
  if (failed) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "Out of memory: choose a smaller batch or fewer wires.");
  for (int64_t i = 0; i < p.n_shared; i++) {
    T sum = 0;
    for (int64_t g = 0; g < shares; g++)
      for (int lane = 0; lane < k.lanes; lane++) sum += sums.get()[g * wide + i * k.lanes + lane];
    of_shared->typed_data()[i] = sum;
  }
  return ffi::Error::Success();
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
extern "C" int qfm_format() { return 2; }

// Samples that run side by side.
extern "C" int qfm_lanes(int bytes_of_a_number) {
  return bytes_of_a_number == 4 ? qfm::kernels<float>().lanes : qfm::kernels<double>().lanes;
}
#pragma GCC visibility pop

// The kernels for one instruction set: included once for each, with its flags, inside a
// namespace of its own; BYTES is the width of its vectors.
#include <cmath>
#include <cstring>

#include "kernels.hpp"

namespace qfm {
namespace INSTRUCTIONS {

#include "vectors.inc.hpp"
#include "states.inc.hpp"
#include "gates.inc.hpp"
#include "samples.inc.hpp"
#include "amplitudes.inc.hpp"

template <class T>
using Vectors = typename Lanes<T>::V;

template <class T>
Vectors<T>* vectors(T* x) {
  return reinterpret_cast<Vectors<T>*>(x);
}

template <class T>
void forward(const Call<T>& c, int64_t first, T* words, T* state, T* scratch) {
  Samples<T>(c, first).forward(words, vectors(state), vectors(scratch));
}

template <class T>
void backward(const Call<T>& c, int64_t first, const T* of_words, const T* state, T* sums,
              T* of_samples, T* scratch) {
  Samples<T>(c, first, vectors(sums))
      .backward(of_words, reinterpret_cast<const Vectors<T>*>(state), of_samples, vectors(scratch));
}

template <class T>
void forward_one(const Call<T>& c, int64_t sample, const Share& share, T* words, T* state,
                 T* common) {
  Amplitudes<T>(c, sample, share).forward(words, state, common);
}

template <class T>
void backward_one(const Call<T>& c, int64_t sample, const Share& share, const T* of_words,
                  const T* state, T* of_samples, T* planes, T* sums, T* common) {
  Amplitudes<T>(c, sample, share)
      .backward(of_words, state, of_samples, planes, vectors(sums), common);
}

template <class T>
Kernels<T> make() {
  return {Lanes<T>::BITS, Samples<T>::scratch, forward<T>, backward<T>, Amplitudes<T>::scratch,
          Amplitudes<T>::common, forward_one<T>, backward_one<T>};
}

}  // namespace INSTRUCTIONS
}  // namespace qfm

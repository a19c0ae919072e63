// Compiled once for each instruction set: see CMakeLists.txt.
#include "kernels.inc.hpp"

namespace qfm {
namespace INSTRUCTIONS {
template Kernels<float> make<float>();
template Kernels<double> make<double>();
}  // namespace INSTRUCTIONS
}  // namespace qfm

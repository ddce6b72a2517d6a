// Loops that are compiled once for each instruction set of the processor, and which of them this one runs.

#pragma once

#ifdef MLIP_X86_KERNELS
#define MLIP_FASTEST(function)                                                            \
  (__builtin_cpu_supports("avx512f")                                 ? avx512::function() \
   : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::function()   \
                                                                     : baseline::function())
#else
#define MLIP_FASTEST(function) baseline::function()
#endif

// Declares Loops<Scalar> make<Scalar>(), which a file that is compiled for each instruction set defines in the
// namespace MLIP_ISA with MLIP_DEFINE_LOOPS; fastest_make<Scalar>() is the one for this processor.
#define MLIP_DECLARE_LOOPS(Loops, make)                     \
  namespace baseline {                                      \
  template <typename Scalar> Loops<Scalar> make();          \
  }                                                         \
  namespace avx2 {                                          \
  template <typename Scalar> Loops<Scalar> make();          \
  }                                                         \
  namespace avx512 {                                        \
  template <typename Scalar> Loops<Scalar> make();          \
  }                                                         \
  template <typename Scalar> Loops<Scalar> fastest_##make() \
  {                                                         \
    return MLIP_FASTEST(make<Scalar>);                      \
  }

#define MLIP_DEFINE_LOOPS(Loops, make) \
  template Loops<float> make<float>(); \
  template Loops<double> make<double>();

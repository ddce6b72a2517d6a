// Which of the loops that were compiled once for each instruction set this processor runs.

#pragma once

#ifdef MLIP_X86_KERNELS
#define MLIP_FASTEST(function)                                                            \
  (__builtin_cpu_supports("avx512f")                                 ? avx512::function() \
   : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::function()   \
                                                                     : baseline::function())
#else
#define MLIP_FASTEST(function) baseline::function()
#endif

#include "memory_policy.h"

#include <cstdlib>
#include <limits>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace mlip {

#ifdef __GLIBC__

static bool user_has_chosen()
{
  for (const char *name : {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"})
    if (std::getenv(name)) return true;
  const char *tunables = std::getenv("GLIBC_TUNABLES");    // of threads and the processor as well
  return tunables && std::string(tunables).find("glibc.malloc.") != std::string::npos;
}

/* ----------------------------------------------------------------------
   Blocks of more than 32 MB, as tensors of large systems are, come from the operating system
   and go back to it in each evaluation, and it clears them page by page: a third of the time
   with 100,000 atoms.
------------------------------------------------------------------------- */

void keep_memory()
{
  if (user_has_chosen()) return;
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, -1);    // never
}

#else

void keep_memory() {}

#endif

}    // namespace mlip

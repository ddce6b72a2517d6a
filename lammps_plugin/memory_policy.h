// What the C library does with memory that a model no longer needs.

#ifndef MLIP_MEMORY_POLICY_H
#define MLIP_MEMORY_POLICY_H

namespace mlip {

/// Keep the memory of one evaluation on the CPU for the next one. Does nothing if the environment of the process tells
/// glibc how to manage memory: MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_, or a glibc.malloc tunable in
/// GLIBC_TUNABLES.
void keep_memory();

}    // namespace mlip

#endif

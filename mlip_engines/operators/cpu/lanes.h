// Vectors of one instruction set, for the files of loops that are compiled once for each (MLIP_ISA, MLIP_VECTOR_BYTES,
// MLIP_TILE_VECTORS). All of it is local to the file that includes it, and such a file must not include anything whose
// inline functions the rest of the library shares: the linker would keep a copy that not every processor can run.

#pragma once

#include <cstdint>

#define MLIP_INLINE inline __attribute__((always_inline))

namespace mlip {
namespace MLIP_ISA {

namespace {

constexpr int VECTOR_BYTES = MLIP_VECTOR_BYTES;
constexpr int TILE_VECTORS = MLIP_TILE_VECTORS;    // vectors of columns in a tile

template <typename Scalar> struct Vector {
  static constexpr int LANES = VECTOR_BYTES / sizeof(Scalar);
  typedef Scalar Type __attribute__((vector_size(VECTOR_BYTES)));
  typedef Scalar Unaligned
      __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(Scalar)), may_alias));

  static MLIP_INLINE Type load(const Scalar *from)
  {
    return *reinterpret_cast<const Unaligned *>(from);
  }
  static MLIP_INLINE void store(Scalar *to, Type value)
  {
    *reinterpret_cast<Unaligned *>(to) = value;
  }
};

// sum over the lanes, by halves
template <typename Scalar, int BYTES> struct Lanes {
  typedef Scalar Type __attribute__((vector_size(BYTES)));
  typedef Scalar Half __attribute__((vector_size(BYTES / 2)));

  static MLIP_INLINE Scalar sum(Type value)
  {
    union {
      Type whole;
      Half halves[2];
    } both = {value};
    return Lanes<Scalar, BYTES / 2>::sum(both.halves[0] + both.halves[1]);
  }
};

template <typename Scalar> struct Lanes<Scalar, 16> {
  typedef Scalar Type __attribute__((vector_size(16)));

  static MLIP_INLINE Scalar sum(Type value)
  {
    Scalar total = 0;
    for (int lane = 0; lane < int(16 / sizeof(Scalar)); lane++) total += value[lane];
    return total;
  }
};

// a single column, for what is left over
template <typename Scalar> struct Single {
  static constexpr int LANES = 1;
  typedef Scalar Type;

  static MLIP_INLINE Type load(const Scalar *from) { return *from; }
  static MLIP_INLINE void store(Scalar *to, Type value) { *to = value; }
};

}    // namespace

}    // namespace MLIP_ISA
}    // namespace mlip

// Rows of numbers, one for each owned and ghost atom, that travel between the processes over
// LAMMPS's own communication: from owners to ghosts, or summed from ghosts at their owners.

#ifndef MLIP_GHOST_ROWS_H
#define MLIP_GHOST_ROWS_H

#include "pointers.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace LAMMPS_NS {
class Pair;
}

namespace mlip {

class GhostRows : protected LAMMPS_NS::Pointers {
 public:
  /// For the pair style in whose name LAMMPS communicates, which hands on its four functions for packing.
  GhostRows(LAMMPS_NS::LAMMPS *lmp, LAMMPS_NS::Pair &pair);

  /// Start anew, with rows of zeros of so many numbers (float or double).
  template <typename Scalar> void clear(int64_t width);

  /// Copy a row in or out: `values` (width) of the type and number that clear() was told.
  template <typename Scalar> void put(int atom, const Scalar *values);
  template <typename Scalar> void get(int atom, Scalar *values) const;

  /// The rows of owned atoms go to all of their ghosts. Called by all processes.
  void send_to_ghosts();

  /// The rows of ghosts are added to those of their owners, whatever the newton setting. Called by all processes.
  void sum_at_owners();

  // what LAMMPS calls meanwhile, through the pair style
  int pack_forward(int n, const int *atoms, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer);
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *atoms, const double *buffer);

  double memory_usage() const { return static_cast<double>(rows_.capacity() * sizeof(double)); }

 private:
  double *row(int atom) { return rows_.data() + static_cast<size_t>(atom) * row_width_; }
  const double *row(int atom) const
  {
    return rows_.data() + static_cast<size_t>(atom) * row_width_;
  }
  void resize(int64_t width, size_t size_of_number);
  template <typename Send> void in_messages(Send &&send);

  LAMMPS_NS::Pair &pair_;
  std::vector<double> rows_;                // (n_owned + n_ghost, row_width)
  int row_width_ = 0;                       // in doubles
  size_t n_bytes_ = 0;                      // of the numbers in a row
  bool holds_floats_ = false;               // two of them in the place of one double
  int first_column_ = 0, n_columns_ = 0;    // of the present message, in doubles
};

/* ---------------------------------------------------------------------- */

template <typename Scalar> void GhostRows::clear(int64_t width)
{
  static_assert(sizeof(Scalar) == sizeof(double) || sizeof(Scalar) == sizeof(float));
  resize(width, sizeof(Scalar));
}

template <typename Scalar> void GhostRows::put(int atom, const Scalar *values)
{
  std::memcpy(row(atom), values, n_bytes_);
}

template <typename Scalar> void GhostRows::get(int atom, Scalar *values) const
{
  std::memcpy(values, row(atom), n_bytes_);
}

}    // namespace mlip

#endif

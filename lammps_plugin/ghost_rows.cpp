#include "ghost_rows.h"

#include "atom.h"
#include "comm.h"
#include "pair.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace mlip {

// most doubles of an atom in one message: LAMMPS makes room for them when a run starts
static constexpr int MAX_COLUMNS = 128;

/* ---------------------------------------------------------------------- */

GhostRows::GhostRows(LAMMPS *lmp, Pair &pair) : Pointers(lmp), pair_(pair)
{
  if (comm->nprocs > 1) pair.comm_forward = pair.comm_reverse = pair.comm_reverse_off = MAX_COLUMNS;
}

/* ---------------------------------------------------------------------- */

void GhostRows::resize(int64_t width, size_t size_of_number)
{
  const int64_t per_double = sizeof(double) / size_of_number;
  holds_floats_ = per_double > 1;
  n_bytes_ = width * size_of_number;
  row_width_ = static_cast<int>((width + per_double - 1) / per_double);
  rows_.assign(static_cast<size_t>(atom->nlocal + atom->nghost) * row_width_, 0.0);
}

/* ----------------------------------------------------------------------
   rows wider than what LAMMPS has room for go in several messages
------------------------------------------------------------------------- */

template <typename Send> void GhostRows::in_messages(Send &&send)
{
  for (first_column_ = 0; first_column_ < row_width_; first_column_ += MAX_COLUMNS) {
    n_columns_ = std::min(MAX_COLUMNS, row_width_ - first_column_);
    send();
  }
}

/* ----------------------------------------------------------------------
   LAMMPS takes the number of columns as an argument since 2025 only, and from these members
   always; its buffers have the size that they have when a run starts
------------------------------------------------------------------------- */

void GhostRows::send_to_ghosts()
{
  in_messages([&] {
    pair_.comm_forward = n_columns_;
    comm->forward_comm(&pair_);
  });
  pair_.comm_forward = MAX_COLUMNS;
}

/* ---------------------------------------------------------------------- */

void GhostRows::sum_at_owners()
{
  in_messages([&] {
    pair_.comm_reverse = pair_.comm_reverse_off = n_columns_;
    comm->reverse_comm(&pair_);
  });
  pair_.comm_reverse = pair_.comm_reverse_off = MAX_COLUMNS;
}

/* ---------------------------------------------------------------------- */

int GhostRows::pack_forward(int n, const int *atoms, double *buffer) const
{
  for (int k = 0; k < n; k++)
    buffer = std::copy_n(row(atoms[k]) + first_column_, n_columns_, buffer);
  return n * n_columns_;
}

/* ---------------------------------------------------------------------- */

void GhostRows::unpack_forward(int n, int first, const double *buffer)
{
  for (int i = first; i < first + n; i++, buffer += n_columns_)
    std::copy_n(buffer, n_columns_, row(i) + first_column_);
}

/* ---------------------------------------------------------------------- */

int GhostRows::pack_reverse(int n, int first, double *buffer) const
{
  for (int i = first; i < first + n; i++)
    buffer = std::copy_n(row(i) + first_column_, n_columns_, buffer);
  return n * n_columns_;
}

// doubles that hold two floats each; memcpy, for which a compiler needs no call, because they are no doubles
static void add_floats(double *to, const double *from, int n)
{
  for (int k = 0; k < n; k++) {
    float sum, term;
    std::memcpy(&sum, reinterpret_cast<char *>(to) + k * sizeof(float), sizeof(float));
    std::memcpy(&term, reinterpret_cast<const char *>(from) + k * sizeof(float), sizeof(float));
    sum += term;
    std::memcpy(reinterpret_cast<char *>(to) + k * sizeof(float), &sum, sizeof(float));
  }
}

/* ---------------------------------------------------------------------- */

void GhostRows::unpack_reverse(int n, const int *atoms, const double *buffer)
{
  for (int k = 0; k < n; k++, buffer += n_columns_) {
    double *to = row(atoms[k]) + first_column_;
    if (holds_floats_)
      add_floats(to, buffer, 2 * n_columns_);
    else
      for (int c = 0; c < n_columns_; c++) to[c] += buffer[c];
  }
}

}    // namespace mlip

#include "boundary_edges.h"

#include "agreement.h"
#include "ghost_rows.h"

#include "atom.h"
#include "comm.h"
#include "lammps.h"

#include <algorithm>
#include <cstring>
#include <tuple>

using namespace LAMMPS_NS;

namespace mlip {

// of messages between two processes, beside those of LAMMPS
static constexpr int TAG = 4711;

// a pair as the process of lower rank has it, which both can tell, and who says so
struct SharedPair {
  int64_t process, lower_id, higher_id, shift;

  bool operator<(const SharedPair &b) const
  {
    return std::tie(process, lower_id, higher_id, shift) <
           std::tie(b.process, b.lower_id, b.higher_id, b.shift);
  }
};

static SharedPair shared(const BoundaryEdges::Pair &pair, int me)
{
  if (me < pair.process) return {pair.process, pair.own_id, pair.other_id, pair.shift};
  return {pair.process, pair.other_id, pair.own_id, -pair.shift};
}

/* ---------------------------------------------------------------------- */

BoundaryEdges::BoundaryEdges(LAMMPS *lmp, Agreement &agreement, GhostRows &rows) :
    lmp_(lmp), agreement_(agreement), rows_(rows)
{
  MPI_Comm_rank(lmp->world, &me_);
}

/* ---------------------------------------------------------------------- */

void BoundaryEdges::learn_homes(const Atom &atom)
{
  static constexpr int WIDTH = 4;
  double row[WIDTH];
  agreement_.go_on();
  rows_.clear<double>(WIDTH);
  for (int i = 0; i < atom.nlocal; i++) {
    row[0] = me_;
    std::copy_n(atom.x[i], 3, row + 1);
    rows_.put(i, row);
  }
  rows_.send_to_ghosts();

  homes_.resize(atom.nlocal + atom.nghost);
  for (size_t i = 0; i < homes_.size(); i++) {
    rows_.get(static_cast<int>(i), row);
    homes_[i] = {static_cast<int>(row[0]), {row[1], row[2], row[3]}};
  }
}

/* ----------------------------------------------------------------------
   what a process is told by others about the pairs it shares with them
------------------------------------------------------------------------- */

static int receive_pairs(int n, char *buffer, int &flag, int *&, char *&, void *pairs)
{
  auto &received = *static_cast<std::vector<SharedPair> *>(pairs);
  received.resize(n);
  if (n) std::memcpy(received.data(), buffer, n * sizeof(SharedPair));
  flag = 0;    // no answer
  return 0;
}

/* ---------------------------------------------------------------------- */

std::vector<BoundaryEdges::Pair> BoundaryEdges::match(std::vector<Pair> pairs)
{
  std::sort(pairs.begin(), pairs.end(),
            [this](const Pair &a, const Pair &b) { return shared(a, me_) < shared(b, me_); });
  std::vector<SharedPair> told, received;
  std::vector<int> processes;
  for (const auto &pair : pairs) {
    told.push_back(shared(pair, me_));
    told.back().process = me_;
    processes.push_back(pair.process);
  }

  agreement_.go_on();
  char *no_answer = nullptr;
  lmp_->comm->rendezvous(/*irregular*/ 0, static_cast<int>(told.size()),
                         reinterpret_cast<char *>(told.data()), sizeof(SharedPair),
                         /*in any order*/ 0, processes.data(), receive_pairs, 0, no_answer, 0,
                         &received);

  std::sort(received.begin(), received.end());
  std::vector<Pair> alone;
  pairs_.clear();
  for (const auto &pair : pairs) {
    const bool is_shared = std::binary_search(received.begin(), received.end(), shared(pair, me_));
    (is_shared ? pairs_ : alone).push_back(pair);
  }
  find_partners();
  return alone;
}

/* ---------------------------------------------------------------------- */

void BoundaryEdges::find_partners()
{
  partners_.clear();
  for (int p = 0; p < static_cast<int>(pairs_.size()); p++) {
    if (partners_.empty() || partners_.back().process != pairs_[p].process)
      partners_.push_back({pairs_[p].process, p, 0, 0, 0});
    partners_.back().n_pairs++;
  }
  number_rows(std::vector<char>(pairs_.size(), 0));
}

/* ---------------------------------------------------------------------- */

void BoundaryEdges::number_rows(const std::vector<char> &is_edge)
{
  n_rows_ = 0;
  row_.assign(pairs_.size(), -1);
  for (auto &partner : partners_) {
    partner.first_row = n_rows_;
    for (int p = partner.first_pair; p < partner.first_pair + partner.n_pairs; p++)
      if (is_edge[p]) row_[p] = n_rows_++;
    partner.n_rows = static_cast<int>(n_rows_ - partner.first_row);
  }
}

/* ----------------------------------------------------------------------
   a message to each partner and one from each: send and receive start them
------------------------------------------------------------------------- */

template <typename Send, typename Receive>
void BoundaryEdges::with_partners(Send &&send, Receive &&receive) const
{
  std::vector<MPI_Request> requests(2 * partners_.size(), MPI_REQUEST_NULL);
  MPI_Request *request = requests.data();
  for (const auto &partner : partners_) receive(partner, request++);
  for (const auto &partner : partners_) send(partner, request++);
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
}

/* ---------------------------------------------------------------------- */

void BoundaryEdges::settle(std::vector<char> &is_edge)
{
  agreement_.go_on();
  std::vector<char> theirs(is_edge.size());
  with_partners(
      [&](const Partner &to, MPI_Request *request) {
        MPI_Isend(&is_edge[to.first_pair], to.n_pairs, MPI_CHAR, to.process, TAG, lmp_->world,
                  request);
      },
      [&](const Partner &from, MPI_Request *request) {
        MPI_Irecv(&theirs[from.first_pair], from.n_pairs, MPI_CHAR, from.process, TAG, lmp_->world,
                  request);
      });
  for (size_t p = 0; p < is_edge.size(); p++) is_edge[p] = is_edge[p] && theirs[p];
  number_rows(is_edge);
}

/* ---------------------------------------------------------------------- */

template <typename Scalar>
void BoundaryEdges::swap_rows(const Scalar *rows, Scalar *reverse, int64_t width,
                              MPI_Datatype number) const
{
  agreement_.go_on();
  MPI_Datatype row;    // so that counts are those of rows, and fit into an int
  MPI_Type_contiguous(static_cast<int>(width), number, &row);
  MPI_Type_commit(&row);
  with_partners(
      [&](const Partner &to, MPI_Request *request) {
        if (to.n_rows)
          MPI_Isend(rows + to.first_row * width, to.n_rows, row, to.process, TAG, lmp_->world,
                    request);
      },
      [&](const Partner &from, MPI_Request *request) {
        if (from.n_rows)
          MPI_Irecv(reverse + from.first_row * width, from.n_rows, row, from.process, TAG,
                    lmp_->world, request);
      });
  MPI_Type_free(&row);
}

void BoundaryEdges::swap(const float *rows, float *reverse, int64_t width) const
{
  swap_rows(rows, reverse, width, MPI_FLOAT);
}

void BoundaryEdges::swap(const double *rows, double *reverse, int64_t width) const
{
  swap_rows(rows, reverse, width, MPI_DOUBLE);
}

/* ---------------------------------------------------------------------- */

double BoundaryEdges::memory_usage() const
{
  return static_cast<double>(homes_.capacity() * sizeof(Home) + pairs_.capacity() * sizeof(Pair) +
                             partners_.capacity() * sizeof(Partner) +
                             row_.capacity() * sizeof(int64_t));
}

}    // namespace mlip

#include "candidate_pairs.h"

#include <algorithm>
#include <tuple>

namespace mlip {

// of candidates with the same centre
static bool is_before(const Candidate &a, const Candidate &b)
{
  return std::tie(a.neighbor, a.shift) < std::tie(b.neighbor, b.shift);
}

static bool is_same(const Candidate &a, const Candidate &b)
{
  return a.centre == b.centre && a.neighbor == b.neighbor && a.shift == b.shift;
}

static std::vector<int> first_of_centres(const std::vector<Candidate> &candidates, size_t n_nodes)
{
  std::vector<int> first(n_nodes + 1, 0);
  for (const auto &candidate : candidates) first[candidate.centre + 1]++;
  for (size_t node = 1; node <= n_nodes; node++) first[node] += first[node - 1];
  return first;
}

/* ---------------------------------------------------------------------- */

void CandidatePairs::arrange(size_t n_nodes)
{
  // into groups of one centre, then each group
  first_ = first_of_centres(candidates_, n_nodes);
  std::vector<Candidate> sorted(candidates_.size());
  std::vector<int> next = first_;
  for (const auto &candidate : candidates_) sorted[next[candidate.centre]++] = candidate;
  for (size_t node = 0; node < n_nodes; node++)
    std::sort(sorted.begin() + first_[node], sorted.begin() + first_[node + 1], is_before);
  sorted.erase(std::unique(sorted.begin(), sorted.end(), is_same), sorted.end());
  candidates_.swap(sorted);
  first_ = first_of_centres(candidates_, n_nodes);

  for (int e = 0; e < size(); e++) {
    Candidate &candidate = candidates_[e];
    if (candidate.reverse >= 0) continue;
    candidate.reverse = find(candidate.neighbor, candidate.centre, -candidate.shift);
    if (candidate.reverse >= 0) candidates_[candidate.reverse].reverse = e;
  }
  vectors_.resize(3 * candidates_.size());
  is_edge_.resize(candidates_.size());
}

/* ---------------------------------------------------------------------- */

int CandidatePairs::find(int centre, int neighbor, int64_t shift) const
{
  const Candidate wanted = {centre, neighbor, shift, 0, 0};
  const auto end = candidates_.begin() + first_[centre + 1];
  const auto found = std::lower_bound(candidates_.begin() + first_[centre], end, wanted, is_before);
  return found != end && is_same(*found, wanted) ? static_cast<int>(found - candidates_.begin())
                                                 : -1;
}

/* ---------------------------------------------------------------------- */

void CandidatePairs::measure(const double *const *x, double cutoff)
{
  const double cutoff_sq = cutoff * cutoff;
  for (int e = 0; e < size(); e++) {
    const Candidate &candidate = candidates_[e];
    const int reverse = candidate.reverse;
    if (reverse < e) {    // measured already, or without reverse
      if (reverse < 0) is_edge_[e] = 0;
      continue;
    }
    const double *const from = x[candidate.origin];
    const double *const to = x[candidate.image];
    double *const d = &vectors_[3 * static_cast<size_t>(e)];
    d[0] = to[0] - from[0];
    d[1] = to[1] - from[1];
    d[2] = to[2] - from[2];
    const double rsq = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    is_edge_[e] = is_edge_[reverse] = rsq < cutoff_sq;
  }
}

/* ---------------------------------------------------------------------- */

double CandidatePairs::memory_usage() const
{
  return static_cast<double>(candidates_.capacity() * sizeof(Candidate) +
                             first_.capacity() * sizeof(int) +
                             vectors_.capacity() * sizeof(double) + is_edge_.capacity());
}

}    // namespace mlip

#include "agreement.h"

#include <stdexcept>

namespace mlip {

Agreement::Agreement(MPI_Comm world) : world_(world)
{
  MPI_Comm_rank(world_, &me_);
  MPI_Comm_size(world_, &n_processes_);
}

/* ---------------------------------------------------------------------- */

std::string Agreement::first_problem(const std::string &problem) const
{
  if (n_processes_ == 1) return problem;
  int mine = problem.empty() ? n_processes_ : me_, first = 0;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world_);
  if (first == n_processes_) return "";
  int length = static_cast<int>(problem.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world_);
  std::string text = problem;
  text.resize(length);
  MPI_Bcast(&text[0], length, MPI_CHAR, first, world_);
  return text;
}

/* ---------------------------------------------------------------------- */

void Agreement::go_on()
{
  known_problem_ = first_problem("");
  if (!known_problem_.empty()) throw std::runtime_error(known_problem_);
}

/* ---------------------------------------------------------------------- */

std::string Agreement::outcome(const std::string &problem)
{
  std::string known;
  known.swap(known_problem_);
  return known.empty() ? first_problem(problem) : known;
}

/* ---------------------------------------------------------------------- */

bool Agreement::any(bool value) const
{
  if (n_processes_ == 1) return value;
  int mine = value, result = 0;
  MPI_Allreduce(&mine, &result, 1, MPI_INT, MPI_MAX, world_);
  return result != 0;
}

/* ---------------------------------------------------------------------- */

bool Agreement::all(bool value) const
{
  return !any(!value);
}

}    // namespace mlip

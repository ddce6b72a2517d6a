#include "restarted_model.h"

#include "model_file.h"

#include "comm.h"
#include "error.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace mlip {

// no keywords and no list of elements are longer
static constexpr int MAX_LENGTH = 1000000;

/* ---------------------------------------------------------------------- */

void RestartedModel::refuse(const std::string &problem)
{
  problem_ = problem;
  if (comm->me == 0) error->warning(FLERR, "{}", problem_);
}

/* ---------------------------------------------------------------------- */

void RestartedModel::require_usable() const
{
  if (!problem_.empty()) error->all(FLERR, "{}", problem_);
}

/* ---------------------------------------------------------------------- */

void RestartedModel::replace(const ModelFile &file)
{
  const auto &checksum = file.info().checksum;
  if (!checksum_.empty() && checksum_ != checksum && comm->me == 0)
    error->warning(FLERR,
                   "Pair style mlip: the restart file was written with another model ({}) than {} "
                   "({})",
                   checksum_, file.path(), checksum);
  checksum_.clear();
  problem_.clear();
}

/* ---------------------------------------------------------------------- */

void RestartedModel::write_text(const std::string &text, FILE *file)
{
  const int length = static_cast<int>(text.size());
  fwrite(&length, sizeof(int), 1, file);
  fwrite(text.data(), 1, length, file);
}

/* ---------------------------------------------------------------------- */

std::string RestartedModel::read_text(FILE *file) const
{
  int length = 0;
  if (comm->me == 0) utils::sfread(FLERR, &length, sizeof(int), 1, file, nullptr, error);
  MPI_Bcast(&length, 1, MPI_INT, 0, world);
  if (length < 0 || length > MAX_LENGTH)
    error->all(FLERR, "The restart file is damaged: pair style mlip finds a text of {} characters",
               length);
  std::string text(length, ' ');
  if (comm->me == 0) utils::sfread(FLERR, &text[0], 1, length, file, nullptr, error);
  MPI_Bcast(&text[0], length, MPI_CHAR, 0, world);
  return text;
}

}    // namespace mlip

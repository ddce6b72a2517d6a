#include "element_map.h"

#include "agreement.h"
#include "elements.h"
#include "model.h"
#include "model_file.h"

#include "atom.h"
#include "comm.h"
#include "error.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace mlip {

static constexpr double MASS_TOLERANCE = 0.01;    // relative; isotopes differ by more

/* ---------------------------------------------------------------------- */

void ElementMap::assign(const std::string *symbols, const ModelFile &file, bool is_sub_style)
{
  const auto &species = file.info().species;
  const int ntypes = atom->ntypes;
  symbols_.clear();
  numbers_.assign(ntypes + 1, 0);
  elements_.assign(ntypes + 1, -1);
  for (int type = 1; type <= ntypes; type++) {
    const std::string &symbol = symbols[type - 1];
    if (symbol == "NULL") {
      if (!is_sub_style)
        error->all(FLERR,
                   "Pair style mlip: atom type {} is given NULL, so nothing acts on it. Use "
                   "pair_style hybrid or hybrid/overlay with another style for this type",
                   type);
      continue;
    }
    if (std::find(species.begin(), species.end(), symbol) == species.end()) {
      std::string known;
      for (const auto &name : species) known += " " + name;
      error->all(FLERR,
                 "Pair style mlip: atom type {} is given the element '{}', the model {} knows:{}",
                 type, symbol, file.path(), known);
    }
    numbers_[type] = atomic_number_of(symbol);
    const auto found = std::find(symbols_.begin(), symbols_.end(), symbol);
    elements_[type] = static_cast<int>(found - symbols_.begin());
    if (found == symbols_.end()) symbols_.push_back(symbol);
  }
  if (symbols_.empty())
    error->all(FLERR, "Pair style mlip: expected an element for at least one atom type, got NULL "
                      "for all");
}

/* ---------------------------------------------------------------------- */

int64_t ElementMap::number_of_first() const
{
  return atomic_number_of(symbols_[0]);
}

/* ----------------------------------------------------------------------
   elements in the wrong order are the commonest mistake, and masses show it. A mass that
   belongs to no element of the model may be an isotope or a repartitioned hydrogen.
------------------------------------------------------------------------- */

void ElementMap::check_masses(const std::vector<std::string> &species,
                              const Agreement &processes) const
{
  if (!atom->mass) return;
  std::vector<char> occurs(atom->ntypes + 1, 0);
  for (int i = 0; i < atom->nlocal; i++) occurs[atom->type[i]] = 1;
  for (auto &value : occurs) value = processes.any(value);

  for (int type = 1; type <= atom->ntypes; type++) {
    const int64_t number = numbers_[type];
    if (number == 0 || !occurs[type] || !atom->mass_setflag[type]) continue;
    const double mass = atom->mass[type];
    const auto is_mass_of = [mass](int64_t z) {
      const double expected = ELEMENT_MASSES[z - 1];
      return std::fabs(mass - expected) <= MASS_TOLERANCE * expected;
    };
    if (is_mass_of(number)) continue;
    const char *symbol = ELEMENT_SYMBOLS[number - 1];
    for (const auto &other : species)
      if (is_mass_of(atomic_number_of(other)))
        error->all(FLERR,
                   "Pair style mlip: atom type {} is given the element {} and has the mass {:.6g} "
                   "of {}. Give the elements in the order of the atom types, or say 'check_masses "
                   "no' in the pair_style command if this is meant",
                   type, symbol, mass, other);
    if (comm->me == 0)
      error->warning(FLERR,
                     "Pair style mlip: atom type {} has the mass {:.6g}, its element {} has {:.6g}",
                     type, mass, symbol, ELEMENT_MASSES[number - 1]);
  }
}

/* ---------------------------------------------------------------------- */

void ElementMap::forget_pairs()
{
  pairs_.assign(atom->ntypes + 1, std::vector<char>(atom->ntypes + 1, 0));
}

/* ---------------------------------------------------------------------- */

void ElementMap::check_pairs() const
{
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++)
      if (numbers_[i] && numbers_[j] && !pairs_[i][j])
        error->all(FLERR,
                   "Pair style mlip: atom types {} and {} have elements of the model, but their "
                   "pair belongs to another pair style. Use hybrid/overlay, or give one of them "
                   "NULL in pair_coeff",
                   i, j);
}

}    // namespace mlip

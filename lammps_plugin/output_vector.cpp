#include "output_vector.h"

#include "pair.h"

namespace mlip {

OutputVector::OutputVector(LAMMPS_NS::Pair &pair, bool shows_values) :
    pair_(pair), shows_values_(shows_values)
{
  pair_.nextra = N_FIXED;
  pair_.pvector = values_.data();
}

/* ---------------------------------------------------------------------- */

void OutputVector::set_elements(int n_elements)
{
  pair_.nextra = N_FIXED + n_elements;
  clear_disagreement();
}

/* ---------------------------------------------------------------------- */

void OutputVector::clear()
{
  show(N_NON_CONSERVATIVE, 0.0);
  show(N_FULL, 0.0);
  clear_disagreement();
}

/* ---------------------------------------------------------------------- */

void OutputVector::clear_disagreement()
{
  for (int k = RMS_DISAGREEMENT; k < pair_.nextra; k++) show(k, NOT_EVALUATED);
}

/* ---------------------------------------------------------------------- */

void OutputVector::show(int entry, double value)
{
  values_[entry] = shows_values_ ? value : 0.0;
}

}    // namespace mlip

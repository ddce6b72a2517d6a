// Which element of the model each atom type of the simulation is, as pair_coeff says.

#ifndef MLIP_ELEMENT_MAP_H
#define MLIP_ELEMENT_MAP_H

#include "pointers.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlip {

class Agreement;
class ModelFile;

class ElementMap : protected LAMMPS_NS::Pointers {
 public:
  explicit ElementMap(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  /// One symbol for each type, NULL for types that the model does not act on, which only a sub-style may have.
  void assign(const std::string *symbols, const ModelFile &file, bool is_sub_style);

  /// (n_types + 1) atomic numbers, 0 for types that the model does not act on.
  const std::vector<int64_t> &numbers() const { return numbers_; }
  int64_t number(int type) const { return numbers_[type]; }
  int64_t number_of_first() const;

  /// The elements in the order in which pair_coeff names them, and the place of a type among them.
  int n_elements() const { return static_cast<int>(symbols_.size()); }
  int element(int type) const { return elements_[type]; }

  /// Stop if the masses of the types show that the elements are in the wrong order.
  void check_masses(const std::vector<std::string> &species, const Agreement &processes) const;

  // In a hybrid style, another style may have taken over a pair of types: LAMMPS names those that are left.
  void forget_pairs();
  void add_pair(int type, int other) { pairs_[type][other] = pairs_[other][type] = 1; }

  /// Stop if atoms of the model would not see each other.
  void check_pairs() const;

 private:
  std::vector<int64_t> numbers_;
  std::vector<int> elements_;    // (n_types + 1) -1 for types that the model does not act on
  std::vector<std::string> symbols_;
  std::vector<std::vector<char>> pairs_;    // (n_types + 1, n_types + 1)
};

}    // namespace mlip

#endif

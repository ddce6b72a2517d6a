// Chemical symbols and atomic numbers.

#ifndef MLIP_ELEMENTS_H
#define MLIP_ELEMENTS_H

#include <string>

namespace mlip {

static constexpr int MAX_ATOMIC_NUMBER = 118;

// the symbol at index Z - 1 belongs to atomic number Z
static constexpr const char *ELEMENT_SYMBOLS[MAX_ATOMIC_NUMBER] = {
    "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",
    "S",  "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn",
    "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh",
    "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd",
    "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re",
    "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th",
    "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db",
    "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};

// atomic number of a symbol, 0 if it is none
inline int atomic_number_of(const std::string &symbol)
{
  for (int z = 1; z <= MAX_ATOMIC_NUMBER; z++)
    if (symbol == ELEMENT_SYMBOLS[z - 1]) return z;
  return 0;
}

}    // namespace mlip

#endif

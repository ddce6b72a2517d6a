// A bath with memory for one degree of freedom. Beside its velocity v there is a number s in the same units, and
//
//   d(v, s) = -A (v, s) dt + sqrt(2 A kT/m) dW,    A = [[g, sqrt(g a)], [sqrt(g a), a]].
//
// Without s this is a friction g w^2/(a^2 + w^2) for motion of the angular frequency w: none for slow motion. A has rank
// one, so a step has a closed form: along (sqrt(g), sqrt(a)) the pair relaxes at the rate g + a, across it nothing
// happens. (Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010); Morrone, Markland, Ceriotti, Berne,
// J. Chem. Phys. 134, 014103 (2011), against resonance.) No LAMMPS here.

#ifndef MLIP_HIGH_PASS_BATH_H
#define MLIP_HIGH_PASS_BATH_H

#include <cmath>

namespace mlip {

class HighPassBath {
 public:
  /// Friction g of fast motion, rate a of the memory, and time step h, all of one unit of time.
  HighPassBath(double g, double a, double h) :
      of_v_(std::sqrt(g / (g + a))), of_s_(std::sqrt(a / (g + a))),
      forgotten_(-std::expm1(-(g + a) * h)), noise_(std::sqrt(-std::expm1(-2.0 * (g + a) * h)))
  {
  }

  /// A step, with sqrt(kT/m) and a normal deviate.
  void move(double &v, double &s, double width, double normal) const
  {
    const double change = noise_ * width * normal - forgotten_ * (of_v_ * v + of_s_ * s);
    v += of_v_ * change;
    s += of_s_ * change;
  }

 private:
  double of_v_, of_s_;    // the direction (sqrt(g), sqrt(a)), normalized
  double forgotten_, noise_;
};

}    // namespace mlip

#endif

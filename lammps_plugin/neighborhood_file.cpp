#include "neighborhood_file.h"

#include "current_graph.h"
#include "elements.h"

#include "atom.h"
#include "fmt/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace LAMMPS_NS;

namespace mlip {

std::string write_neighborhood(const CurrentGraph &graph, int k, const std::vector<double> &forces,
                               const Atom &atom, int64_t step, const std::string &model_name)
{
  const auto &local = graph.local();
  // the probe, which has no neighbors, lies between the atoms of this process and those of others
  std::vector<int> atoms = graph.edges().owned();
  const int n_owned = static_cast<int>(atoms.size());
  if (local.n_counted > n_owned) atoms.push_back(-1);
  const auto &others = graph.edges().others();
  atoms.insert(atoms.end(), others.begin(), others.end());
  const auto &vectors = graph.vectors();
  const int64_t n_edges = local.n_edges();
  const int64_t n_neighbors =
      std::count(local.edge_index.begin(), local.edge_index.begin() + n_edges, k);

  const auto name = fmt::format("mlip_atom_{}_step_{}.xyz", atom.tag[atoms[k]], step);
  FILE *file = fopen(name.c_str(), "w");
  if (!file) return "";
  fmt::print(file,
             "{}\nProperties=species:S:1:pos:R:3:id:I:1:forces:R:3 step={} model=\"{}\" "
             "pbc=\"F F F\"\n",
             n_neighbors + 1, step, model_name);
  const double *center = atom.x[atoms[k]];
  const auto print = [&](int64_t atom_of_graph, const double *offset) {
    // those of other processes' atoms are known there only
    static constexpr double UNKNOWN[3] = {NAN, NAN, NAN};
    const double *f = atom_of_graph < n_owned ? &forces[3 * atom_of_graph] : UNKNOWN;
    fmt::print(file, "{} {:.10g} {:.10g} {:.10g} {} {:.10g} {:.10g} {:.10g}\n",
               ELEMENT_SYMBOLS[local.atomic_numbers[atom_of_graph] - 1], center[0] + offset[0],
               center[1] + offset[1], center[2] + offset[2], atom.tag[atoms[atom_of_graph]], f[0],
               f[1], f[2]);
  };
  const double zero[3] = {0.0, 0.0, 0.0};
  print(k, zero);
  for (int64_t e = 0; e < n_edges; e++)
    if (local.edge_index[e] == k) print(local.edge_index[n_edges + e], &vectors[3 * e]);
  fclose(file);
  return name;
}

}    // namespace mlip

// What pair style mlip asks of a model. Neither LAMMPS nor libtorch appears here: the pair style
// is compiled against LAMMPS only, torch_model.cpp against libtorch only, and this page is what
// they share. Units are eV and Angstrom throughout.

#ifndef MLIP_MODEL_H
#define MLIP_MODEL_H

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mlip {

class FeatureExchange;

/// A structure as a model sees it: atoms, and edges in both directions.
struct LocalGraph {
  std::vector<int64_t> atomic_numbers;    // (n_atoms)
  std::vector<int64_t> edge_index;        // (2, n_edges); row 0 = centre (non-decreasing), row 1 =
                                          // neighbour
  std::vector<double> edge_vectors;       // (n_edges, 3); from centre to neighbour
  std::vector<int64_t> reverse_edge;      // (n_edges); index of the edge neighbour -> centre,
                                          // n_edges + k for one that comes from elsewhere

  int64_t n_counted = 0;    // atoms, the first ones, whose energies count

  // total charge (elementary charges) and spin multiplicity of the whole simulation, for models that depend on them
  std::map<std::string, double> structure_inputs;

  int64_t n_atoms() const { return static_cast<int64_t>(atomic_numbers.size()); }
  int64_t n_edges() const { return static_cast<int64_t>(reverse_edge.size()); }
};

/// What the non-conservative heads give.
struct NonConservative {
  std::vector<double> forces;    // (n_atoms, 3); zero net force
  double virial[3][3] = {};      // -dE/d(strain) by meaning, eV; zero without the head for stress
};

/// Everything one full evaluation gives. Arrays that were not asked for are empty.
struct Evaluation {
  double energy = 0.0;                    // eV
  std::vector<double> atomic_energies;    // (n_atoms)
  std::vector<double> forces;             // (n_atoms, 3); minus the gradient of the energy
  double virial[3][3] = {};               // -dE/d(strain), eV, not symmetrised
  NonConservative direct;                 // the non-conservative heads
  std::vector<double> atomic_virials;     // (n_atoms, 3, 3); pairs share them equally
  std::vector<double>
      centroid_virials;    // (n_atoms, 3, 3); with atomic virials for one layer only
};

/// What each atom gives to the properties of the structure, see mlip_engines/model/structure_properties.py.
struct PropertyTerms {
  std::vector<double> values;    // (n_atoms, n_properties)
  std::vector<double>
      scores;    // (n_atoms, n_properties); an atom weighs exp(score) with attention
};

/// A property of the structure, such as a gap, as the file describes it.
struct PropertyInfo {
  std::string name, unit;
  std::string pooling;    // sum, mean or attention
};

/// What the file says about the model.
struct ModelInfo {
  std::string name;
  std::string dtype;
  std::string device;
  std::string checksum;
  std::vector<std::string> species;    // chemical symbols
  double cutoff = 0.0;                 // length of the longest edge
  double disagreement_limit = 0.0;     // eV/A, of |C - NC|; 0 if the file does not say
  double rms_c_minus_nc = 0.0;         // eV/A per component; 0 if the file does not say
  double interaction_range = 0.0;      // cutoff times message-passing layers
  int message_passing_layers = 0;
  int non_conservative_layers = 0;    // edges that the non-conservative heads see
  int most_layers = 0;                // edges that anything in the model sees
  bool has_non_conservative_forces = false;
  bool has_non_conservative_stress = false;
  bool has_centroid_virials = false;            // one layer, or Model::centroid_virials
  bool has_feature_exchange = false;            // features of atoms can come from other processes
  bool has_edge_exchange = false;               // so that reverse edges are asked for
  std::vector<std::string> structure_inputs;    // what it depends on of a structure as a whole
  std::vector<std::string> extensions;          // libraries of operators that it calls
  std::vector<PropertyInfo> properties;         // of the structure as a whole, beside the energy
};

/// A loaded model. Every member function may throw std::exception with a message for the user.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo &info() const = 0;

  /// Energy, conservative forces, virial, and on request the rest; differentiates. With an exchange, only the
  /// atoms that count are evaluated, and gradients are those of the energies of all processes.
  virtual void evaluate(const LocalGraph &graph, bool with_non_conservative,
                        bool with_atomic_virials, FeatureExchange *exchange,
                        Evaluation &result) = 0;

  /// The predicted forces and stress alone: no energy, no gradient.
  virtual void non_conservative(const LocalGraph &graph, FeatureExchange *exchange,
                                NonConservative &result) = 0;

  /// Virials for the heat flux, (n_atoms, 3, 3) with LAMMPS's sign, of models of any number of layers. The graph is
  /// unfolded: periodic images are atoms of their own, at `positions` (n_atoms, 3). Four gradients.
  virtual void centroid_virials(const LocalGraph &graph, const std::vector<double> &positions,
                                std::vector<double> &result) = 0;

  /// What atoms give to the properties of the structure: no energy, no gradient.
  virtual void properties(const LocalGraph &graph, FeatureExchange *exchange,
                          PropertyTerms &result) = 0;
};

/// Read a model file. `device` is "cpu", "cuda", "cuda:N" or "auto".
std::shared_ptr<Model> load_model(const std::string &path, const std::string &device,
                                  int n_threads);

}    // namespace mlip

#endif

/* ----------------------------------------------------------------------
   Pair style mlip on several processes: features of ghosts from their owners after each
   layer of a network, over LAMMPS's own communication, and their gradients the way back;
   features of reverse edges, for networks that ask for them, straight from process to process.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "domain_edge_list.h"

#include "comm.h"
#include "domain.h"
#include "utils.h"

#include <cstring>
#include <stdexcept>

using namespace LAMMPS_NS;

// with `parallel auto`: below, evaluating atoms of others costs less than asking for them
static constexpr double WORTH_AN_EXCHANGE = 1.1;

/* ---------------------------------------------------------------------- */

class PairMLIP::Exchange : public mlip::FeatureExchange {
 public:
  explicit Exchange(PairMLIP &pair) : pair_(pair), data_(*pair.data) {}

  // the probe is evaluated everywhere
  int64_t n_evaluated() const override { return data_.graph.n_counted; }
  int64_t n_atoms() const override { return data_.graph.n_atoms(); }

  void spread(const float *from, float *to, int64_t width) override { forward(from, to, width); }
  void spread(const double *from, double *to, int64_t width) override { forward(from, to, width); }
  void collect(const float *from, float *to, int64_t width) override { reverse(from, to, width); }
  void collect(const double *from, double *to, int64_t width) override { reverse(from, to, width); }

  int64_t n_reverse_edges() const override
  {
    if (!data_.boundary)
      throw std::runtime_error("the network asks for features of reverse edges, and its file does "
                               "not say so. Set edge_exchange = True in the network and export it "
                               "again, or use parallel halo");
    return data_.boundary->n_rows();
  }
  void swap(const float *from, float *to, int64_t width) override
  {
    data_.boundary->swap(from, to, width);
  }
  void swap(const double *from, double *to, int64_t width) override
  {
    data_.boundary->swap(from, to, width);
  }

 private:
  // rows of zeros for owned and ghost atoms, each of `width` numbers
  template <typename Scalar> void clear_rows(int64_t width)
  {
    constexpr int64_t PER_DOUBLE = sizeof(double) / sizeof(Scalar);
    const Atom *atom = pair_.atom;
    data_.rows_are_float = PER_DOUBLE > 1;
    data_.row_width = static_cast<int>((width + PER_DOUBLE - 1) / PER_DOUBLE);
    data_.rows.assign(static_cast<size_t>(atom->nlocal + atom->nghost) * data_.row_width, 0.0);
  }

  double *row(int i) { return data_.rows.data() + static_cast<size_t>(i) * data_.row_width; }

  // rows wider than what LAMMPS has room for go in several messages
  template <typename Send> void in_messages(Send &&send)
  {
    for (int first = 0; first < data_.row_width; first += MAX_COLUMNS) {
      data_.first_column = first;
      data_.n_columns = std::min(MAX_COLUMNS, data_.row_width - first);
      send(data_.n_columns);
    }
  }

  template <typename Scalar> void forward(const Scalar *from, Scalar *to, int64_t width)
  {
    data_.processes.go_on();
    clear_rows<Scalar>(width);
    const size_t size = width * sizeof(Scalar);
    for (const int i : data_.edges->owned()) {
      std::memcpy(row(i), from, size);
      from += width;
    }
    from -= width * data_.edges->owned().size();
    in_messages([&](int n_columns) { pair_.send_to_ghosts(n_columns); });
    std::memcpy(to, from, n_evaluated() * size);
    to += n_evaluated() * width;
    for (const int i : data_.edges->others()) {
      std::memcpy(to, row(i), size);
      to += width;
    }
  }

  template <typename Scalar> void reverse(const Scalar *from, Scalar *to, int64_t width)
  {
    data_.processes.go_on();
    clear_rows<Scalar>(width);
    const size_t size = width * sizeof(Scalar);
    std::memcpy(to, from, n_evaluated() * size);
    from += n_evaluated() * width;
    for (const int i : data_.edges->others()) {
      std::memcpy(row(i), from, size);
      from += width;
    }
    in_messages([&](int n_columns) { pair_.sum_at_owners(n_columns); });
    std::vector<Scalar> sums(width);
    for (const int i : data_.edges->owned()) {
      std::memcpy(sums.data(), row(i), size);
      for (int64_t k = 0; k < width; k++) *to++ += sums[k];
    }
  }

  PairMLIP &pair_;
  Data &data_;
};

/* ----------------------------------------------------------------------
   halo or exchange, and why
------------------------------------------------------------------------- */

void PairMLIP::init_exchange()
{
  const auto &info = data->model->info();
  bool exchanges = data->settings.parallel == mlip::Parallel::EXCHANGE;
  std::string reason = "as asked for";
  if (exchanges && !info.has_feature_exchange)
    error->all(
        FLERR,
        "Pair style mlip parallel exchange: the network in {} cannot exchange features, or "
        "was exported before it could. Use parallel halo, or export it again from its checkpoint "
        "with mlip-export",
        data->file);
  if (data->settings.parallel == mlip::Parallel::AUTO) {
    const double factor = estimate_halo();
    exchanges = info.has_feature_exchange && factor > WORTH_AN_EXCHANGE;
    if (info.most_layers == 1)
      reason = "one layer: nothing is evaluated twice";
    else if (!info.has_feature_exchange)
      reason = "the network in this file cannot exchange features";
    else
      reason = fmt::format("with a halo, {:.3g} times as many atoms would be evaluated", factor);
    if (info.most_layers == 1) exchanges = false;
  }
  if (comm->me == 0 && exchanges != data->announced_exchange.value_or(!exchanges))
    utils::logmesg(lmp, "Pair style mlip: parallel {}: {}\n", exchanges ? "exchange" : "halo",
                   reason);
  data->announced_exchange = exchanges;

  if (exchanges == (data->exchange != nullptr)) return;
  data->exchange.reset(exchanges ? new Exchange(*this) : nullptr);
  const bool swaps = exchanges && info.has_edge_exchange;
  data->boundary.reset(swaps ? new mlip::BoundaryEdges(lmp, data->processes) : nullptr);
  data->edges = std::make_unique<mlip::DomainEdgeList>(info.cutoff, info.most_layers, exchanges,
                                                       data->boundary.get());
  data->is_evaluated = false;
}

/* ----------------------------------------------------------------------
   With a new neighbor list, each ghost learns which process owns it and where it is there:
   two processes can then speak of the same pair.
------------------------------------------------------------------------- */

void PairMLIP::learn_homes()
{
  static constexpr int WIDTH = 4;
  const int n_all = atom->nlocal + atom->nghost;
  auto &rows = data->rows;
  rows.assign(static_cast<size_t>(n_all) * WIDTH, 0.0);
  for (int i = 0; i < atom->nlocal; i++) {
    double *row = &rows[static_cast<size_t>(i) * WIDTH];
    row[0] = comm->me;
    for (int k = 0; k < 3; k++) row[1 + k] = atom->x[i][k];
  }
  data->row_width = data->n_columns = WIDTH;
  data->first_column = 0;
  data->rows_are_float = false;
  data->processes.go_on();
  send_to_ghosts(WIDTH);

  std::vector<mlip::BoundaryEdges::Home> homes(n_all);
  for (int i = 0; i < n_all; i++) {
    const double *row = &rows[static_cast<size_t>(i) * WIDTH];
    homes[i] = {static_cast<int>(row[0]), {row[1], row[2], row[3]}};
  }
  data->boundary->set_homes(std::move(homes));
}

/* ----------------------------------------------------------------------
   once in a run: what a process evaluates, and what it holds
------------------------------------------------------------------------- */

void PairMLIP::tell_graph()
{
  data->told_graph = true;
  const double owned = data->edges->owned().size();
  const double held = owned + data->edges->others().size();
  const double n_edges = data->graph.n_edges();
  if (comm->nprocs == 1) {
    utils::logmesg(lmp, "Pair style mlip: {:.0f} atoms with {:.0f} edges\n", owned, n_edges);
    return;
  }
  double swapped = 0.0;
  if (data->boundary) swapped = data->boundary->n_rows();
  const double mine[5] = {owned, data->exchange ? owned : held, n_edges, held, swapped};
  double sums[5], largest[5];
  MPI_Reduce(mine, sums, 5, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(mine, largest, 5, MPI_DOUBLE, MPI_MAX, 0, world);
  if (comm->me != 0) return;
  for (double &sum : sums) sum /= comm->nprocs;    // the mean
  std::string text = fmt::format(
      "Pair style mlip: a process owns {:.0f} atoms (at most {:.0f}), evaluates {:.0f} ({:.0f}) "
      "with {:.0f} ({:.0f}) edges and holds {:.0f} ({:.0f})",
      sums[0], largest[0], sums[1], largest[1], sums[2], largest[2], sums[3], largest[3]);
  if (data->boundary)
    text += fmt::format(". It exchanges features of {:.0f} ({:.0f}) edges", sums[4], largest[4]);
  utils::logmesg(lmp, text + "\n");
}

/* ----------------------------------------------------------------------
   how many times as many atoms as there are all processes together evaluate with a halo, if
   atoms are spread evenly. No process sees an atom twice, so no direction is longer than the box.
------------------------------------------------------------------------- */

double PairMLIP::estimate_halo() const
{
  const double range = data->model->info().interaction_range;
  double factor = 1.0;
  for (int k = 0; k < 3; k++) {
    const double length = domain->prd[k] / comm->procgrid[k];
    factor *= std::min(length + 2.0 * range, domain->prd[k]) / length;
  }
  return factor;
}

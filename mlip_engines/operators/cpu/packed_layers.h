// Dense layers with their weights as the loops over atoms want them, kept from call to call.

#pragma once

#include "atom_blocks_kernel.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace mlip {

// parts of a row that stand side by side, each of a width: where they start among the columns of a weight
using Parts = std::vector<std::pair<int64_t, int64_t>>;

// a layer with its weights as the loops want them, and their memory
template <typename Scalar> class Packed {
 public:
  Packed(const at::Tensor &weight, const at::Tensor &bias, const Parts &inputs,
         const Parts &outputs, int64_t lanes, bool for_derivatives) : lanes(lanes)
  {
    const at::Tensor w = weight.contiguous();
    const int64_t n_columns = w.size(1);
    const Scalar *from = w.const_data_ptr<Scalar>();
    layer.n_inputs = total(inputs);
    layer.n_outputs = total(outputs);
    memory = at::zeros({layer.n_inputs * layer.n_outputs}, w.options());
    Scalar *to = memory.mutable_data_ptr<Scalar>();
    (for_derivatives ? layer.backward : layer.weights) = to;
    int64_t row = 0;
    for (const auto &[first_output, n_out] : outputs) {
      int64_t column = 0;
      for (const auto &[first_input, n_in] : inputs) {
        const Scalar *block = from + first_output * n_columns + first_input;
        if (for_derivatives)
          for (int64_t o = 0; o < n_out; o++)
            std::copy_n(block + o * n_columns, n_in, to + (row + o) * layer.n_inputs + column);
        else
          for (int64_t i = 0; i < n_in; i++) {
            Scalar *line = to + (column + i) * layer.n_outputs + row;
            for (int64_t o = 0; o < n_out; o++) line[o] = block[o * n_columns + i];
          }
        column += padded(n_in);
      }
      row += padded(n_out);
    }
    if (!bias.defined() || for_derivatives) return;
    const at::Tensor b = bias.contiguous();
    padded_bias = at::zeros({layer.n_outputs}, b.options());
    Scalar *line = padded_bias.mutable_data_ptr<Scalar>();
    layer.bias = line;
    for (const auto &[first_output, n_out] : outputs) {
      std::copy_n(b.const_data_ptr<Scalar>() + first_output, n_out, line);
      line += padded(n_out);
    }
  }

  Layer<Scalar> layer = {};

 private:
  int64_t padded(int64_t n) const { return (n + lanes - 1) / lanes * lanes; }
  int64_t total(const Parts &parts) const
  {
    int64_t sum = 0;
    for (const auto &part : parts) sum += padded(part.second);
    return sum;
  }

  int64_t lanes;
  at::Tensor memory, padded_bias;
};

// Packed layers of this thread, by where their weights are. An engine comes with the same weights in every step, and
// packing takes several times as long as comparing. What is there is compared, because weights may be changed in place and
// memory may be given to others.
template <typename Scalar> class PackedLayers {
 public:
  using Pointer = std::shared_ptr<const Packed<Scalar>>;

  Pointer find(const at::Tensor &weight, const at::Tensor &bias, const Parts &inputs,
               const Parts &outputs, int64_t lanes, bool for_derivatives)
  {
    if (!weight.is_contiguous() || (bias.defined() && !bias.is_contiguous()))
      return std::make_shared<Packed<Scalar>>(weight, bias, inputs, outputs, lanes,
                                              for_derivatives);
    const Key key = {weight.const_data_ptr(), for_derivatives, outputs.size()};
    const auto found = all_.find(key);
    if (found != all_.end()) {
      const Kept &kept = found->second;
      if (kept.inputs == inputs && kept.outputs == outputs && is_equal(kept.weight, weight) &&
          is_equal(kept.bias, bias))
        return kept.packed;
      n_numbers_ -= kept.n_numbers();
      all_.erase(found);
    }
    if (n_numbers_ > MOST) {    // those of models that are gone
      all_.clear();
      n_numbers_ = 0;
    }
    const Pointer packed =
        std::make_shared<Packed<Scalar>>(weight, bias, inputs, outputs, lanes, for_derivatives);
    const Kept kept = {copy_of(weight), copy_of(bias), inputs, outputs, packed};
    n_numbers_ += kept.n_numbers();
    all_.emplace(key, kept);
    return packed;
  }

 private:
  struct Kept {
    std::vector<Scalar> weight, bias;
    Parts inputs, outputs;
    Pointer packed;

    // the packed form is about as large as the weight
    size_t n_numbers() const { return 2 * weight.size() + bias.size(); }
  };
  using Key = std::tuple<const void *, bool, size_t>;
  static constexpr size_t MOST = 1 << 24;    // 64 MiB of float32

  static std::vector<Scalar> copy_of(const at::Tensor &x)
  {
    if (!x.defined()) return {};
    const Scalar *from = x.const_data_ptr<Scalar>();
    return {from, from + x.numel()};
  }

  static bool is_equal(const std::vector<Scalar> &kept, const at::Tensor &x)
  {
    const size_t n = x.defined() ? x.numel() : 0;
    return kept.size() == n &&
           (n == 0 || std::memcmp(kept.data(), x.const_data_ptr(), n * sizeof(Scalar)) == 0);
  }

  std::map<Key, Kept> all_;
  size_t n_numbers_ = 0;    // in all of them
};

template <typename Scalar>
std::shared_ptr<const Packed<Scalar>> packed(const at::Tensor &weight, const at::Tensor &bias,
                                             const Parts &inputs, const Parts &outputs,
                                             int64_t lanes, bool for_derivatives)
{
  thread_local PackedLayers<Scalar> layers;
  return layers.find(weight, bias, inputs, outputs, lanes, for_derivatives);
}

}    // namespace mlip

#include "settings.h"

#include <cmath>
#include <stdexcept>

namespace mlip {

namespace {

[[noreturn]] void fail(const std::string &message)
{
  throw std::invalid_argument("Pair style mlip: " + message);
}

// not a number if the word is none
double number(const std::string &word)
{
  size_t used = 0;
  double value = 0.0;
  try {
    value = std::stod(word, &used);
  } catch (const std::exception &) {
    used = 0;
  }
  return used > 0 && used == word.size() && std::isfinite(value) ? value : std::nan("");
}

double positive_number(const std::string &keyword, const std::string &word)
{
  const double value = number(word);
  if (!(value > 0.0))
    fail("expected a positive number after '" + keyword + "', got '" + word + "'");
  return value;
}

double any_number(const std::string &keyword, const std::string &word)
{
  const double value = number(word);
  if (std::isnan(value)) fail("expected a number after '" + keyword + "', got '" + word + "'");
  return value;
}

double multiplicity(const std::string &keyword, const std::string &word)
{
  const double value = number(word);
  if (!(value >= 1.0) || value != std::floor(value))
    fail("expected 2 S + 1, a whole number of at least 1, after '" + keyword + "', got '" + word +
         "'");
  return value;
}

bool yes_or_no(const std::string &keyword, const std::string &word)
{
  if (word != "yes" && word != "no") fail("expected " + keyword + " yes or no, got '" + word + "'");
  return word == "yes";
}

bool is_whole_number(const std::string &word)
{
  return !word.empty() && word.size() < 10 &&
         word.find_first_not_of("0123456789") == std::string::npos;
}

Forces parse_forces(const std::string &word)
{
  if (word == "conservative") return Forces::CONSERVATIVE;
  if (word == "non_conservative") return Forces::NON_CONSERVATIVE;
  if (word == "correction") return Forces::CORRECTION;
  fail("expected forces conservative, non_conservative or correction, got '" + word + "'");
}

Parallel parse_parallel(const std::string &word)
{
  if (word == "auto") return Parallel::AUTO;
  if (word == "halo") return Parallel::HALO;
  if (word == "exchange") return Parallel::EXCHANGE;
  fail("expected parallel auto, halo or exchange, got '" + word + "'");
}

std::string parse_device(const std::string &word)
{
  const bool is_numbered = word.compare(0, 5, "cuda:") == 0 && is_whole_number(word.substr(5));
  if (word != "auto" && word != "cpu" && word != "cuda" && !is_numbered)
    fail("expected device auto, cpu, cuda or cuda:N, got '" + word + "'");
  return word;
}

OnDisagreement parse_action(const std::string &word)
{
  if (word == "ignore") return OnDisagreement::IGNORE;
  if (word == "warn") return OnDisagreement::WARN;
  if (word == "stop") return OnDisagreement::STOP;
  fail("expected disagreement ignore, warn or stop, got '" + word + "'");
}

}    // namespace

/* ---------------------------------------------------------------------- */

Settings parse_settings(const std::vector<std::string> &words)
{
  Settings settings;
  size_t next = 0;
  const auto value_of = [&](const std::string &keyword) {
    if (next == words.size()) fail("keyword '" + keyword + "' needs a value");
    return words[next++];
  };
  while (next < words.size()) {
    const std::string keyword = words[next++];
    if (keyword == "forces") {
      settings.forces = parse_forces(value_of(keyword));
    } else if (keyword == "stress") {
      const std::string word = value_of(keyword);
      if (word != "conservative" && word != "non_conservative")
        fail("expected stress conservative or non_conservative, got '" + word + "'");
      settings.non_conservative_stress = (word == "non_conservative");
    } else if (keyword == "device") {
      settings.device = parse_device(value_of(keyword));
    } else if (keyword == "parallel") {
      settings.parallel = parse_parallel(value_of(keyword));
    } else if (keyword == "rotate") {
      settings.rotate = yes_or_no(keyword, value_of(keyword));
    } else if (keyword == "seed") {
      const std::string word = value_of(keyword);
      if (!is_whole_number(word)) fail("expected a whole number after 'seed', got '" + word + "'");
      settings.seed = std::stoull(word);
    } else if (keyword == "check_masses") {
      settings.check_masses = yes_or_no(keyword, value_of(keyword));
    } else if (keyword == "max_force") {
      settings.max_force = positive_number(keyword, value_of(keyword));
    } else if (keyword == "disagreement") {
      settings.on_disagreement = parse_action(value_of(keyword));
      // without a number, the model file says how far the forces may differ
      settings.max_disagreement = 0.0;
      if (settings.on_disagreement != OnDisagreement::IGNORE && next < words.size() &&
          !std::isnan(number(words[next])))
        settings.max_disagreement = positive_number(keyword, value_of(keyword));
    } else if (keyword == "total_charge") {
      settings.structure_inputs[keyword] = any_number(keyword, value_of(keyword));
    } else if (keyword == "spin_multiplicity") {
      settings.structure_inputs[keyword] = multiplicity(keyword, value_of(keyword));
    } else {
      fail("expected a keyword (forces, stress, device, parallel, rotate, seed, check_masses, "
           "max_force, "
           "disagreement, total_charge, spin_multiplicity), got '" +
           keyword + "'");
    }
  }
  if (settings.non_conservative_stress && settings.forces != Forces::NON_CONSERVATIVE)
    fail("stress non_conservative belongs to forces non_conservative: conservative forces and "
         "r-RESPA use the conservative virial");
  for (const auto &word : words) settings.text += (settings.text.empty() ? "" : "\n") + word;
  return settings;
}

}    // namespace mlip

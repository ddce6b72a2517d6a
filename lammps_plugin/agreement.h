// One process that fails takes all others with it, with its message and before any of them waits
// for it: whatever may fail is followed by a word from everyone.

#ifndef MLIP_AGREEMENT_H
#define MLIP_AGREEMENT_H

#include <mpi.h>

#include <string>

namespace mlip {

class Agreement {
 public:
  explicit Agreement(MPI_Comm world);

  int n_processes() const { return n_processes_; }

  /// Say on all processes what went wrong here, nothing if all went well. Returns the message of the
  /// first process with a problem, the same on all of them.
  std::string first_problem(const std::string &problem) const;

  /// Before communication: throws std::runtime_error with what went wrong on another process, if anything
  /// did. All processes know it then.
  void go_on();

  /// After a piece of work with or without communication: the first problem, of which all may know already.
  std::string outcome(const std::string &problem);

  /// Whether it is so on any process, or on all of them.
  bool any(bool value) const;
  bool all(bool value) const;

 private:
  MPI_Comm world_;
  int me_ = 0, n_processes_ = 1;
  std::string known_problem_;    // that go_on() has thrown
};

}    // namespace mlip

#endif

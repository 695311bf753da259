// service/admission/admission.hpp - the gate of a server: steps that a request passes one after the
// other.
//
// Which ones, and in which order, is the composition's business: a rate by address, authentication,
// API keys, a rate by user. A server without any has no gate. Layer: service. Thread: the
// exchange's shard.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/gate.hpp"

namespace sluice::service {

class Admission;

class AdmissionStep {
 public:
  using Verdict = core::Gate::Verdict;

  AdmissionStep() = default;
  AdmissionStep(const AdmissionStep&) = delete;
  AdmissionStep& operator=(const AdmissionStep&) = delete;
  virtual ~AdmissionStep() = default;

  // See core::Gate.
  virtual void on_path(core::Exchange& exchange);
  virtual std::string shown(std::string_view target) const;
  // `later`: pass() follows, or an answer, unless the exchange is given up. Whoever waits keeps a
  // use of it.
  virtual Verdict check(core::Exchange& exchange) = 0;
  // The server stops: what waits outside the shards is cancelled, and answered there. Thread: the
  // one that stops it; the shards still run.
  virtual void stop();

 protected:
  // It had said `later`: the next step is asked.
  void pass(core::Exchange& exchange);
  // What this step remembers of the exchange; null: nothing yet. Goes with it.
  core::GateState* state(core::Exchange& exchange) const;
  void set_state(core::Exchange& exchange, std::unique_ptr<core::GateState> state);

 private:
  friend class Admission;
  Admission* admission_ = nullptr;
  std::size_t place_ = 0;
};

class Admission final : public core::Gate {
 public:
  static constexpr std::size_t kMostSteps = 8;

  // Before the first request.
  void add(std::unique_ptr<AdmissionStep> step);
  void stop();

  void on_path(core::Exchange& exchange) override;
  Verdict admit(core::Exchange& exchange) override;
  std::string shown(std::string_view target) const override;

 private:
  friend class AdmissionStep;
  struct States;
  Verdict ask(core::Exchange& exchange);
  void passed(core::Exchange& exchange);
  std::vector<std::unique_ptr<AdmissionStep>> steps_;
};

}  // namespace sluice::service

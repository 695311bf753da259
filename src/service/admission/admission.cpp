// service/admission/admission.cpp - see admission.hpp.
//
// Layer: service. Thread: the exchange's shard.
#include "service/admission/admission.hpp"

#include <utility>

#include "base/check.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"

namespace sluice::service {

struct Admission::States final : core::GateState {
  std::array<std::unique_ptr<core::GateState>, kMostSteps> of_step;

  void given_up(core::Exchange& exchange) override {
    for (auto& state : of_step) {
      if (state) state->given_up(exchange);
    }
  }
};

void AdmissionStep::on_path(core::Exchange&) {}
std::string AdmissionStep::shown(std::string_view target) const { return std::string(target); }
void AdmissionStep::stop() {}

void AdmissionStep::pass(core::Exchange& exchange) { admission_->passed(exchange); }

core::GateState* AdmissionStep::state(core::Exchange& exchange) const {
  auto* states = static_cast<Admission::States*>(exchange.gate_state.get());
  return states ? states->of_step[place_].get() : nullptr;
}

void AdmissionStep::set_state(core::Exchange& exchange, std::unique_ptr<core::GateState> state) {
  if (!exchange.gate_state) exchange.gate_state = std::make_unique<Admission::States>();
  static_cast<Admission::States&>(*exchange.gate_state).of_step[place_] = std::move(state);
}

void Admission::add(std::unique_ptr<AdmissionStep> step) {
  SLUICE_CHECK(steps_.size() < kMostSteps);
  step->admission_ = this;
  step->place_ = steps_.size();
  steps_.push_back(std::move(step));
}

void Admission::stop() {
  for (auto& step : steps_) step->stop();
}

void Admission::on_path(core::Exchange& exchange) {
  for (auto& step : steps_) step->on_path(exchange);
}

core::Gate::Verdict Admission::admit(core::Exchange& exchange) {
  exchange.gate_place = 0;
  return ask(exchange);
}

// From the step on whose turn it is.
core::Gate::Verdict Admission::ask(core::Exchange& exchange) {
  while (exchange.gate_place < steps_.size()) {
    AdmissionStep& step = *steps_[exchange.gate_place++];
    if (Verdict verdict = step.check(exchange); verdict != Verdict::pass) return verdict;
  }
  return Verdict::pass;
}

void Admission::passed(core::Exchange& exchange) {
  if (!exchange.port || exchange.answered) return;
  if (ask(exchange) == Verdict::pass) exchange.shard.session.go_on(exchange);
}

std::string Admission::shown(std::string_view target) const {
  std::string text(target);
  for (const auto& step : steps_) text = step->shown(text);
  return text;
}

}  // namespace sluice::service

// service/rate_limit/rate_step.hpp - the steps of admission that count requests.
//
// One asks for the peer's address, before authentication; one for API key and user, behind it.
// Layer: service. Thread: the exchange's shard.
#pragma once

#include <memory>

#include "service/admission/admission.hpp"
#include "service/rate_limit/rate_limit.hpp"

namespace sluice::service {

class RateStep final : public AdmissionStep {
 public:
  enum class Asks : std::uint8_t { address, names };
  RateStep(std::shared_ptr<RateLimit> limit, Asks asks) : limit_(std::move(limit)), asks_(asks) {}

  Verdict check(core::Exchange& exchange) override;

 private:
  const std::shared_ptr<RateLimit> limit_;
  const Asks asks_;
};

}  // namespace sluice::service

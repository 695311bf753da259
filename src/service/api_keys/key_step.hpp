// service/api_keys/key_step.hpp - the step of admission that asks for an API key.
//
// Layer: service. Thread: the exchange's shard, but for what says otherwise.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/api_keys.hpp>

#include "service/admission/admission.hpp"
#include "service/api_keys/manager.hpp"

namespace sluice::api_keys {

// Errors: bad_setting, in words that name the member.
Result<void> check(const ApiKeySettings& settings);

class KeyStep final : public service::AdmissionStep {
 public:
  // For shards whose index is below `shards`. Precondition: check(settings).
  KeyStep(std::shared_ptr<KeyManager> keys, const ApiKeySettings& settings, std::size_t shards);

  void on_path(core::Exchange& exchange) override;
  std::string shown(std::string_view target) const override;
  Verdict check(core::Exchange& exchange) override;

 private:
  struct State;
  // Where the document lies; null: no key is asked for there.
  const ApiKeyPath* place_of(std::string_view document) const;
  Verdict refuse(core::Exchange& exchange, const KeyReader::Verdict& verdict) const;

  const std::shared_ptr<KeyManager> keys_;
  const std::string header_, parameter_;
  const bool required_;
  const std::vector<ApiKeyPath> paths_;              // the longest prefix first
  std::vector<std::unique_ptr<KeyReader>> readers_;  // each its shard's alone, made there
};

// `target`, or a query, with `***` in the place of each value of the parameter, however its name is
// written.
std::string hide_parameter(std::string_view target, std::string_view name);

}  // namespace sluice::api_keys

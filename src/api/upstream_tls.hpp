// api/upstream_tls.hpp - what servers behind https:// are spoken to with.
//
// Layer: api. Thread: any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "core/upstream.hpp"
#include "tls/context.hpp"

namespace sluice::api {

class UpstreamTlsMaker {
 public:
  // For `host`, a name or an address. Contexts are shared by those who trust the same. `reads`: CA
  // files may be read; else only those that have been read before count. Errors: bad_setting, in
  // words.
  Result<std::shared_ptr<const core::UpstreamSecurity>> make(const ForwardTls& tls,
                                                             const std::string& host, bool reads);

 private:
  using Trust = std::tuple<bool, std::string>;  // verify, ca_file
  Result<std::shared_ptr<const tls::Context>> context(const ForwardTls& tls, bool reads);

  std::mutex mutex_;
  std::map<Trust, std::shared_ptr<const tls::Context>> contexts_;
};

}  // namespace sluice::api

// core/upstream.cpp - see upstream.hpp.
#include "core/upstream.hpp"

namespace sluice::core {

std::string UpstreamAddress::text() const {
  if (endpoint.family == Endpoint::Family::none) return "unix:" + path;
  std::string ip = endpoint.ip();
  if (ip.find(':') != std::string::npos) ip = "[" + ip + "]";
  return ip + ":" + std::to_string(endpoint.port);
}

}  // namespace sluice::core

// service/forward/names.hpp - names of upstreams and their addresses, for as long as they hold.
//
// Layer: service. Thread: any.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sluice/error.hpp>

#include "base/clock.hpp"
#include "core/endpoint.hpp"

namespace sluice::service {

class Names {
 public:
  using Addresses = std::vector<core::Endpoint>;  // without a port
  struct Answer {
    Addresses addresses;
    std::chrono::seconds ttl{0};
    Error error;
  };
  // Looks a name up; tells once, on any thread, perhaps at once.
  using Lookup = std::function<void(const std::string& name, std::function<void(Answer)> done)>;

  explicit Names(Lookup lookup) : lookup_(std::move(lookup)) {}

  struct Found {
    std::shared_ptr<const Addresses> addresses;  // null: not known
    Error error;                                 // why it is not
  };
  // What is known. What is out of date is good until there is something better, which is asked for.
  // Where nothing is known and nothing has failed lately `later` is called, once, when it is known
  // or has failed; it must not throw.
  Found find(const std::string& name, base::Instant now, std::function<void()> later);

 private:
  struct Entry {
    std::shared_ptr<const Addresses> addresses;
    Error error;
    base::Instant until{};
    bool asked = false;
    std::vector<std::function<void()>> waiting;
  };
  void ask(const std::string& name);
  void told(const std::string& name, Answer answer);

  const Lookup lookup_;
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace sluice::service

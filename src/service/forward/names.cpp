// service/forward/names.cpp - see names.hpp.
#include "service/forward/names.hpp"

#include <algorithm>

namespace sluice::service {
namespace {

using namespace std::chrono_literals;

// Whatever a record says, it is looked at again after that time, and not before.
constexpr std::chrono::seconds kLeast = 1s, kLongest = 300s;
// More names are kept only while they are good or being asked for.
constexpr std::size_t kMost = 2000;
// How long a failure is believed.
constexpr std::chrono::seconds kFailure = 1s;

}  // namespace

Names::Found Names::find(const std::string& name, base::Instant now, std::function<void()> later) {
  bool wanted = false;
  Found found;
  {
    std::lock_guard lock(mutex_);
    if (entries_.size() > kMost) {
      std::erase_if(entries_, [&](const auto& each) {
        return !each.second.asked && each.second.waiting.empty() && each.second.until < now;
      });
    }
    Entry& entry = entries_[name];
    const bool fresh = now < entry.until;
    found.addresses = entry.addresses;
    if (fresh && !entry.addresses) found.error = entry.error;
    if (!fresh && !entry.addresses && later) entry.waiting.push_back(std::move(later));
    if (!fresh) wanted = !std::exchange(entry.asked, true);
  }
  if (wanted) ask(name);
  return found;
}

void Names::ask(const std::string& name) {
  lookup_(name, [this, name](Answer answer) { told(name, std::move(answer)); });
}

void Names::told(const std::string& name, Answer answer) {
  std::vector<std::function<void()>> waiting;
  {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[name];
    entry.asked = false;
    waiting.swap(entry.waiting);
    if (answer.addresses.empty()) {
      entry.error = answer.error ? answer.error : Error(Errc::not_found, name);
      entry.until = base::read_clock() + kFailure;
    } else {
      entry.error = {};
      entry.addresses = std::make_shared<const Addresses>(std::move(answer.addresses));
      entry.until = base::read_clock() + std::clamp(answer.ttl, kLeast, kLongest);
    }
  }
  for (const auto& call : waiting) call();
}

}  // namespace sluice::service

// core/request_queue.cpp - counting.
#include "core/request_queue.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace sluice::core {
namespace {

Error check_length(std::uint32_t length) {
  if (length >= 1 && length <= RequestQueue::kMaxLength) return {};
  return {Errc::bad_setting, "the length of a request queue must be from 1 to " +
                                 std::to_string(RequestQueue::kMaxLength) + ", not " +
                                 std::to_string(length)};
}

Error check_name(const std::string& name) {
  if (name.size() > RequestQueue::kMaxNameBytes) {
    return {Errc::bad_setting, "the name of a request queue has at most " +
                                   std::to_string(RequestQueue::kMaxNameBytes) + " bytes, not " +
                                   std::to_string(name.size())};
  }
  const bool odd = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/' || c == '\\';
  });
  if (odd)
    return {Errc::bad_setting,
            "the name of a request queue has no slashes and no control characters"};
  return {};
}

}  // namespace

Result<std::shared_ptr<RequestQueue>> RequestQueue::create(std::string name, std::uint32_t length) {
  if (Error error = check_name(name)) return error;
  if (Error error = check_length(length)) return error;
  return std::shared_ptr<RequestQueue>(new RequestQueue(std::move(name), length));
}

RequestQueue::Admission RequestQueue::admit(bool handler_free) {
  if (handler_free && active()) return Admission::run;
  // Not added first and taken back when it was too much: that would turn others away.
  std::uint32_t now = waiting_.load(std::memory_order_relaxed);
  do {
    if (now >= length()) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return Admission::full;
    }
  } while (!waiting_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
  return Admission::queued;
}

void RequestQueue::leave() {
  const std::uint32_t before = waiting_.fetch_sub(1, std::memory_order_relaxed);
  SLUICE_CHECK(before > 0);
}

Result<void> RequestQueue::set_length(std::uint32_t length) {
  if (Error error = check_length(length)) return error;
  length_.store(length, std::memory_order_relaxed);
  return {};
}

}  // namespace sluice::core

// base/shared_bytes.hpp - immutable bytes with many readers on many threads.
//
// Layer: base. Thread: any; the count is atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <sluice/bytes.hpp>

namespace sluice::base {

// Copying shares. The bytes live until the last copy goes.
class SharedBytes {
 public:
  SharedBytes() = default;
  // Takes the string over; one allocation for the count.
  static SharedBytes own(std::string text) {
    SharedBytes shared;
    shared.owner_ = std::make_shared<const std::string>(std::move(text));
    shared.bytes_ = as_bytes(*shared.owner_);
    return shared;
  }
  static SharedBytes copy(Bytes bytes) { return own(std::string(as_text(bytes))); }

  Bytes bytes() const { return owner_ ? bytes_ : Bytes(); }  // empty after a move
  std::shared_ptr<const void> owner() const { return owner_; }
  std::size_t size() const { return bytes().size(); }
  explicit operator bool() const { return owner_ != nullptr; }

 private:
  std::shared_ptr<const std::string> owner_;
  Bytes bytes_;
};

}  // namespace sluice::base

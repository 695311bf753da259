// core/coded_variants.hpp - the coded forms of one body that is kept: made once, given often.
//
// A file in memory and an answer of the response cache each have one of these, and the coded forms
// go with them. Layer: core. Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

#include "base/shared_bytes.hpp"
#include "proto/http/content_coding.hpp"

namespace sluice::core {

// Bytes of coded forms that one shard has made and that are still there.
class VariantBudget {
 public:
  bool take(std::size_t bytes, std::size_t most);
  void give_back(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> used_{0};
};

class CodedVariants {
 public:
  CodedVariants() = default;
  ~CodedVariants();
  CodedVariants(const CodedVariants&) = delete;
  CodedVariants& operator=(const CodedVariants&) = delete;

  // Nothing: it has not been made.
  base::SharedBytes find(http::ContentCoding coding) const;
  // False: it is there, or somebody makes it. Else release() or keep() follows.
  bool claim(http::ContentCoding coding);
  void release(http::ContentCoding coding);
  // Without room in `budget` nothing is kept.
  void keep(http::ContentCoding coding, base::SharedBytes coded,
            const std::shared_ptr<VariantBudget>& budget, std::size_t most);

 private:
  struct Form {
    base::SharedBytes coded;
    std::shared_ptr<VariantBudget> budget;  // that pays for it
    bool is_claimed = false;
  };
  mutable std::mutex mutex_;
  std::array<Form, http::kContentCodings> forms_;
};

}  // namespace sluice::core

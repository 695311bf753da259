// core/coded_variants.cpp - see coded_variants.hpp.
#include "core/coded_variants.hpp"

#include <utility>

namespace sluice::core {

bool VariantBudget::take(std::size_t bytes, std::size_t most) {
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > most || used > most - bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

CodedVariants::~CodedVariants() {
  for (const Form& form : forms_) {
    if (form.budget) form.budget->give_back(form.coded.size());
  }
}

base::SharedBytes CodedVariants::find(http::ContentCoding coding) const {
  std::lock_guard lock(mutex_);
  return forms_[static_cast<std::size_t>(coding)].coded;
}

bool CodedVariants::claim(http::ContentCoding coding) {
  std::lock_guard lock(mutex_);
  Form& form = forms_[static_cast<std::size_t>(coding)];
  if (form.coded || form.is_claimed) return false;
  return form.is_claimed = true;
}

void CodedVariants::release(http::ContentCoding coding) {
  std::lock_guard lock(mutex_);
  forms_[static_cast<std::size_t>(coding)].is_claimed = false;
}

void CodedVariants::keep(http::ContentCoding coding, base::SharedBytes coded,
                         const std::shared_ptr<VariantBudget>& budget, std::size_t most) {
  std::lock_guard lock(mutex_);
  Form& form = forms_[static_cast<std::size_t>(coding)];
  form.is_claimed = false;
  if (form.coded || !budget->take(coded.size(), most)) return;
  form.coded = std::move(coded);
  form.budget = budget;
}

}  // namespace sluice::core

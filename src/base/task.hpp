// base/task.hpp - a call to make later: move-only, no allocation for small captures.
//
// Layer: base. Thread: as safe as what it captures.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace sluice::base {

class Task {
 public:
  static constexpr std::size_t kInline = 64;

  Task() = default;
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, Task> && std::is_invocable_v<std::decay_t<F>&>)
      Task(F&& call) {  // NOLINT: converting on purpose
    using Call = std::decay_t<F>;
    if constexpr (sizeof(Call) <= kInline && alignof(Call) <= alignof(std::max_align_t) &&
                  std::is_nothrow_move_constructible_v<Call>) {
      new (storage_) Call(std::forward<F>(call));
      actions_ = &kInlineActions<Call>;
    } else {
      *reinterpret_cast<Call**>(storage_) = new Call(std::forward<F>(call));
      actions_ = &kHeapActions<Call>;
    }
  }
  Task(Task&& other) noexcept { take(other); }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      clear();
      take(other);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { clear(); }

  explicit operator bool() const { return actions_ != nullptr; }
  void operator()() { actions_->call(storage_); }

 private:
  struct Actions {
    void (*call)(void*);
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void*) noexcept;
  };
  template <class Call>
  static constexpr Actions kInlineActions{[](void* s) { (*static_cast<Call*>(s))(); },
                                          [](void* to, void* from) noexcept {
                                            new (to) Call(std::move(*static_cast<Call*>(from)));
                                            static_cast<Call*>(from)->~Call();
                                          },
                                          [](void* s) noexcept { static_cast<Call*>(s)->~Call(); }};
  template <class Call>
  static constexpr Actions kHeapActions{
      [](void* s) { (**static_cast<Call**>(s))(); },
      [](void* to, void* from) noexcept { *static_cast<Call**>(to) = *static_cast<Call**>(from); },
      [](void* s) noexcept { delete *static_cast<Call**>(s); }};

  void take(Task& other) noexcept {
    actions_ = std::exchange(other.actions_, nullptr);
    if (actions_) actions_->move(storage_, other.storage_);
  }
  void clear() noexcept {
    if (actions_) std::exchange(actions_, nullptr)->destroy(storage_);
  }

  const Actions* actions_ = nullptr;
  alignas(std::max_align_t) std::byte storage_[kInline];
};

}  // namespace sluice::base

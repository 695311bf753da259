// front/wire/work.cpp - handed out and taken back; what core asks goes to the connection.
#include "front/wire/work.hpp"

#include "front/wire/connection.hpp"

namespace sluice::wire {

Work::Work() : timer(&Connection::timer_fired, this) {}

void Work::respond(core::Exchange& which) { owner->respond(which); }
void Work::begin_stream(core::Exchange& which) { owner->begin_stream(which); }
bool Work::write_stream(core::Exchange& which, Bytes bytes) {
  return owner->write_stream(which, bytes);
}
void Work::end_stream(core::Exchange& which, std::string_view trailer_lines) {
  owner->end_stream(which, trailer_lines);
}
void Work::break_off(core::Exchange& which, const Error& why) { owner->break_off(which, why); }
void Work::pause_body(core::Exchange& which) { owner->pause_body(which); }
void Work::resume_body(core::Exchange& which) { owner->resume_body(which); }
void Work::upgrade(core::Exchange& which, std::string_view fields, core::StreamPtr events) {
  owner->upgrade(which, fields, std::move(events));
}

Work& WorkPool::take(Connection& owner) {
  if (idle_.empty()) {
    auto made = std::make_unique<Work>();
    made->owner = &owner;
    return *made.release();
  }
  Work* taken = idle_.back().release();
  idle_.pop_back();
  taken->owner = &owner;
  return *taken;
}

void WorkPool::give_back(Work& work) {
  std::unique_ptr<Work> returned(&work);
  if (idle_.size() == kIdle) return;
  work.owner = nullptr;
  static_cast<WorkState&>(work) = {};
  work.in.reset();
  if (idle_.capacity() == 0) idle_.reserve(kIdle);
  idle_.push_back(std::move(returned));
}

}  // namespace sluice::wire

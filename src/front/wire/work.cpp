// front/wire/work.cpp - handed out and taken back; what core asks goes to the connection.
#include "front/wire/work.hpp"

#include <new>
#include <utility>

#include "front/wire/connection.hpp"

namespace sluice::wire {

Work::Work() : timer(&Connection::timer_fired, this) {}

void Work::respond(core::Exchange& which) { owner->respond(which); }
void Work::begin_stream(core::Exchange& which) { owner->begin_stream(which); }
bool Work::write_stream(core::Exchange& which, Bytes bytes) {
  return owner->write_stream(which, bytes);
}
void Work::interim(core::Exchange& which, int status, std::string_view fields) {
  owner->interim(which, status, fields);
}
std::string_view Work::trailers(const core::Exchange& which) {
  return exchange == &which && body_chunked && chunks ? chunks->trailers() : std::string_view();
}
bool Work::write_stream_shared(core::Exchange& which, const base::SharedBytes& bytes) {
  return owner->write_stream_shared(which, bytes);
}
void Work::end_stream(core::Exchange& which, std::string_view trailer_lines) {
  owner->end_stream(which, trailer_lines);
}
void Work::break_off(core::Exchange& which, const Error& why) { owner->break_off(which, why); }
void Work::pause_body(core::Exchange& which) { owner->pause_body(which); }
void Work::resume_body(core::Exchange& which) { owner->resume_body(which); }
void Work::wait_for_thread(core::Exchange& which) { owner->wait_for_thread(which); }
void Work::decided(core::Exchange& which) { owner->decided(which); }
void Work::upgrade(core::Exchange& which, std::string_view fields, core::StreamPtr events) {
  owner->upgrade(which, fields, std::move(events));
}

WorkPool::~WorkPool() {
  while (Work* work = idle_) {
    idle_ = work->next_idle;
    delete work;
  }
}

Work* WorkPool::make(Connection& owner) {
  Work* made = new (std::nothrow) Work();
  if (made) made->owner = &owner;
  return made;
}

void WorkPool::destroy(Work& work) noexcept { delete &work; }

}  // namespace sluice::wire

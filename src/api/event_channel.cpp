// api/event_channel.cpp - EventChannel: who listens, and what was sent lately.
//
// One lock for both, so that whoever subscribes misses nothing and gets nothing twice. What is
// called under it never comes back here: what a stream of events is asked for it does later, on its
// shard. A stream is let go outside of the lock.
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sluice/event_stream.hpp>

#include "api/event_bytes.hpp"
#include "core/event_stream.hpp"
#include "core/late.hpp"

namespace sluice {

class EventChannel::State : public std::enable_shared_from_this<EventChannel::State> {
 public:
  explicit State(const EventChannelOptions& options) : options_(options) {}

  bool add(const EventStream& stream, std::string_view seen) {
    core::Late* late = stream.late_;
    if (!late || !late->events()) return false;
    bool known = seen.empty(), whole = true;
    EventStream over;
    {
      std::lock_guard lock(mutex_);
      // A stream that is here has had what was sent since.
      const auto [place, is_new] = streams_.try_emplace(late, stream);
      if (!is_new) return true;
      if (!known) known = repeat(*late, seen, whole);
      if (!whole) {  // before anybody sends what comes behind the gap
        over = std::move(place->second);
        streams_.erase(place);
      }
    }
    if (!whole) {
      end(std::move(over));
      return known;
    }
    // Over already, it leaves at once: what is called here needs the lock.
    late->events()->on_over([state = weak_from_this(), late] {
      if (const auto here = state.lock()) here->remove(late);
    });
    return known;
  }

  void send(std::optional<std::string_view> id, const base::SharedBytes& bytes) {
    std::vector<EventStream> over;
    {
      std::lock_guard lock(mutex_);
      keep(id, bytes);
      for (auto each = streams_.begin(); each != streams_.end();) {
        if (offer(*each->first, bytes)) {
          ++each;
        } else {
          over.push_back(std::move(each->second));
          each = streams_.erase(each);
        }
      }
    }
    for (EventStream& stream : over) end(stream);
  }

  void close() {
    std::unordered_map<core::Late*, EventStream> all;
    {
      std::lock_guard lock(mutex_);
      all.swap(streams_);
    }
    for (auto& [late, stream] : all) end(stream);
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return streams_.size();
  }

 private:
  struct Sent {
    std::optional<std::string> id;
    base::SharedBytes bytes;
  };

  static bool offer(core::Late& late, const base::SharedBytes& bytes) {
    try {
      return late.offer(bytes) == Errc::none;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  static void end(EventStream stream) {
    try {
      static_cast<void>(stream.close());
    } catch (const std::bad_alloc&) {  // with its last handle it ends all the same
    }
  }

  void remove(core::Late* late) {
    EventStream last;
    std::lock_guard lock(mutex_);
    const auto place = streams_.find(late);
    if (place == streams_.end()) return;
    last = std::move(place->second);
    streams_.erase(place);
  }

  // What came behind `seen`. Not whole: the rest is asked for when the client comes back.
  bool repeat(core::Late& late, std::string_view seen, bool& whole) {
    auto from = history_.rbegin();
    while (from != history_.rend() && from->id != seen) ++from;
    if (from == history_.rend()) return false;
    for (auto each = from.base(); whole && each != history_.end(); ++each) {
      whole = offer(late, each->bytes);
    }
    return true;
  }

  void keep(std::optional<std::string_view> id, const base::SharedBytes& bytes) {
    if (options_.history == 0) return;
    history_.push_back({id ? std::optional<std::string>(*id) : std::nullopt, bytes});
    kept_ += bytes.size();
    while (history_.size() > options_.history || kept_ > options_.history_bytes) {
      kept_ -= history_.front().bytes.size();
      history_.pop_front();
    }
  }

  const EventChannelOptions options_;
  mutable std::mutex mutex_;
  std::unordered_map<core::Late*, EventStream> streams_;
  std::deque<Sent> history_;
  std::size_t kept_ = 0;
};

EventChannel::EventChannel(const EventChannelOptions& options)
    : state_(std::make_shared<State>(options)) {}

EventChannel::~EventChannel() { state_->close(); }

bool EventChannel::subscribe(const EventStream& stream, std::string_view last_event_id) {
  return state_->add(stream, last_event_id);
}

Errc EventChannel::send(const Event& event) {
  const base::SharedBytes bytes = event_bytes(event);
  if (!bytes) return Errc::bad_event;
  state_->send(event.id, bytes);
  return Errc::none;
}

std::size_t EventChannel::size() const { return state_->size(); }

void EventChannel::close() { state_->close(); }

}  // namespace sluice

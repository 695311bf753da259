// service/cache/response_cache.cpp - see response_cache.hpp.
//
// Layer: service. Thread: shards, but for what says otherwise.
#include "service/cache/response_cache.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <new>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "proto/http/target.hpp"

namespace sluice::service {
namespace {

constexpr std::size_t kMostRules = 64;
// So often somebody waits for an answer that does not come, then no more.
constexpr int kMostWaits = 2;

Error bad(std::string_view setting, std::string_view why) {
  return {Errc::bad_setting, std::string(setting) + " " + std::string(why)};
}

}  // namespace

// --- What is known to one shard ------------------------------------------------------------------

struct ResponseCache::OfShard {
  struct Waiting {
    core::Exchange* exchange;  // with one use
    FlightRef flight;
    base::Instant until;
  };

  explicit OfShard(CacheStore& all) : store(all), timer(&OfShard::fired, this) {}
  static void fired(void* context);
  // Those for whom `test` is true go on.
  template <class Test>
  void wake(Test test);
  // The same for those who wait for a flight, wherever. Thread: any.
  static void wake_all(const FlightRef& flight, const std::vector<Flight::Seat>& seats);
  void set_timer();
  // Lets go what is given no more.
  void release();

  CacheStore& store;
  // By the key of the first of each, which are never none.
  std::unordered_map<CacheKey, std::vector<CachedRef>, CacheKeyHash> known;
  std::string key;  // capacity is kept
  std::shared_ptr<const CacheRules> rules;
  std::uint64_t rules_version = 0;
  std::vector<Waiting> waiting;
  core::Shard* shard = nullptr;  // once somebody has waited
  base::Timer timer;             // of those who wait
  core::Counter hits, misses;
};

template <class Test>
void ResponseCache::OfShard::wake(Test test) {
  const auto first = std::stable_partition(waiting.begin(), waiting.end(), std::not_fn(test));
  const std::vector<Waiting> woken(first, waiting.end());
  waiting.erase(first, waiting.end());
  set_timer();
  for (const Waiting& one : woken) one.exchange->in_cache = false;
  for (const Waiting& one : woken) {
    store.leave(one.flight);
    core::step(*one.exchange, [&] { one.exchange->shard.session.go_on(*one.exchange); });
    one.exchange->release();
  }
}

void ResponseCache::OfShard::wake_all(const FlightRef& flight,
                                      const std::vector<Flight::Seat>& seats) {
  for (const Flight::Seat& seat : seats) {
    try {
      seat.mailbox->post_always([mine = static_cast<OfShard*>(seat.owner), flight] {
        mine->wake([&](const OfShard::Waiting& one) { return one.flight == flight; });
      });
    } catch (const std::bad_alloc&) {
      // They go on when their time is over.
    }
  }
}

void ResponseCache::OfShard::fired(void* context) {
  OfShard& mine = *static_cast<OfShard*>(context);
  const base::Instant now = mine.shard->now;
  mine.wake([now](const Waiting& one) { return one.until <= now; });
}

void ResponseCache::OfShard::set_timer() {
  base::Instant soonest = base::never;
  for (const Waiting& one : waiting) soonest = std::min(soonest, one.until);
  if (shard != nullptr) shard->timers.set(timer, soonest);
}

void ResponseCache::OfShard::release() {
  std::erase_if(known, [](const auto& each) {
    return std::any_of(each.second.begin(), each.second.end(), [](const CachedRef& kept) {
      return kept->gone.load(std::memory_order_relaxed);
    });
  });
}

// --- What the cache has of one answer ------------------------------------------------------------

// Without memory for a copy there is none: the answer itself goes its way.
class ResponseCache::Ticket final : public core::AnswerTap {
 public:
  Ticket(ResponseCache& cache, const core::Shard& shard)
      : cache_(cache), shard_(shard), store_(cache.store_) {}
  ~Ticket() override { end_flight(CacheStore::Outcome::lost, {}); }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  void begin(core::Exchange& exchange) override;
  void piece(Bytes bytes) override;
  void end() override;
  void refuse() override { drop_stream(CacheStore::Outcome::not_kept); }
  void let_others_go() override { end_flight(CacheStore::Outcome::lost, {}); }

  // Tells those who wait. Thread: the shard; any, once that has ended.
  void end_flight(CacheStore::Outcome outcome, base::Instant now);

  FlightRef leads;
  std::shared_ptr<const CacheRules> rules;  // in which `rule` is
  const CacheRule* rule = nullptr;
  int waits = 0;
  base::Instant wait_until{};  // all waits together

 private:
  struct Stream {
    explicit Stream(CacheStore& all) : store(all) {}
    ~Stream() { store.collected(counted); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    CacheStore& store;
    std::size_t counted = 0;  // room of `body`, there
    core::Exchange* exchange = nullptr;
    int status = 200;
    std::string type, fields, date, body;
    Verdict verdict;
  };
  void begin_stream(core::Exchange& exchange, const Verdict& verdict);
  void end_stream();
  bool make_room(std::size_t bytes);
  void drop_stream(CacheStore::Outcome outcome);

  ResponseCache& cache_;      // on a shard only
  const core::Shard& shard_;  // likewise
  const std::shared_ptr<CacheStore> store_;
  std::unique_ptr<Stream> stream_;
};

void ResponseCache::Ticket::end_flight(CacheStore::Outcome outcome, base::Instant now) {
  if (!leads) return;
  const FlightRef flight = std::move(leads);
  leads.reset();
  OfShard::wake_all(flight, store_->finish(flight, outcome, now));
}

// An answer that the application says may be kept is one of one call; a rule takes what comes.
void ResponseCache::Ticket::begin(core::Exchange& exchange) {
  const core::Answer& answer = exchange.answer;
  const auto length = answer.extras().stream_length;
  try {
    const Verdict verdict =
        answer.extras().cache || rule == nullptr || length > store_->entry_bytes()
            ? Verdict{}
            : judge(answer.status, read_answer(answer.fields), exchange.head,
                    read_request(exchange), std::nullopt, rule, exchange.shard.wall_seconds());
    if (verdict.ttl.count() <= 0) return refuse();
    begin_stream(exchange, verdict);
  } catch (const std::bad_alloc&) {
    drop_stream(CacheStore::Outcome::lost);
  }
}

void ResponseCache::Ticket::begin_stream(core::Exchange& exchange, const Verdict& verdict) {
  auto stream = std::make_unique<Stream>(*store_);
  const core::Answer& answer = exchange.answer;
  stream->exchange = &exchange;
  stream->status = answer.status;
  if (answer.has_type) stream->type = answer.type;
  stream->fields = answer.fields;
  stream->date = exchange.shard.date();
  stream->verdict = verdict;
  stream_ = std::move(stream);
}

void ResponseCache::Ticket::piece(Bytes bytes) {
  if (!stream_) return;
  if (stream_->body.size() + bytes.size() > store_->entry_bytes()) return refuse();
  try {
    if (!make_room(bytes.size())) return drop_stream(CacheStore::Outcome::lost);
    stream_->body.append(as_text(bytes));
  } catch (const std::bad_alloc&) {
    drop_stream(CacheStore::Outcome::lost);
  }
}

// False: too much of what comes is not there yet.
bool ResponseCache::Ticket::make_room(std::size_t bytes) {
  Stream& stream = *stream_;
  const std::size_t needed = stream.body.size() + bytes;
  if (needed <= stream.counted) return true;
  const std::size_t room = std::max(needed, std::min(stream.counted * 2, store_->entry_bytes()));
  if (!store_->collect(room - stream.counted)) return false;
  stream.counted = room;
  stream.body.reserve(room);
  return true;
}

void ResponseCache::Ticket::drop_stream(CacheStore::Outcome outcome) {
  stream_.reset();
  end_flight(outcome, shard_.now);
}

void ResponseCache::Ticket::end() {
  if (!stream_) return;
  try {
    end_stream();
  } catch (const std::bad_alloc&) {
    drop_stream(CacheStore::Outcome::lost);
  }
}

void ResponseCache::Ticket::end_stream() {
  Stream& stream = *stream_;
  core::Exchange& exchange = *stream.exchange;
  const auto length = exchange.answer.extras().stream_length;
  bool stored = false;
  if (!length || *length == stream.body.size()) {
    // What is kept is what is counted.
    if (stream.body.capacity() > stream.body.size() + stream.body.size() / 8) {
      stream.body.shrink_to_fit();
    }
    const AnswerHead head{stream.status, stream.type, stream.fields, stream.date};
    auto made =
        make_cached(head, read_answer(stream.fields), std::move(stream.body), stream.verdict,
                    exchange.head, exchange.shard.now, exchange.shard.wall_seconds());
    made->uncoded = exchange.answer.extras().uncoded;
    stored = cache_.put(exchange, std::move(made), leads);
  }
  drop_stream(stored ? CacheStore::Outcome::kept : CacheStore::Outcome::lost);
}

// --- Asked ---------------------------------------------------------------------------------------

ResponseCache::ResponseCache(core::ServerSession& session, const ResponseCacheOptions& options,
                             std::vector<CacheRule> rules, std::size_t shards)
    : session_(session),
      store_(std::make_shared<CacheStore>(options)),
      wait_ms_(options.wait.count()),
      rules_(std::make_shared<const CacheRules>(std::move(rules))) {
  for (std::size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<OfShard>(*store_));
  if (!rules_->empty() && options.bytes != 0)
    session_.cache_in_use.store(this, std::memory_order_release);
}

ResponseCache::~ResponseCache() = default;

ResponseCache::Found ResponseCache::look_up(core::Exchange& exchange) {
  exchange.cache_ticket = store_->ticket();
  const CacheRequest request = read_request(exchange);
  if (!request.eligible) {
    if (is_unsafe(exchange.head)) exchange.answer.set_extras().changes = true;
    return Found::nothing;
  }
  const base::Instant now = exchange.shard.now;
  if (now.time_since_epoch().count() >= next_sweep_.load(std::memory_order_relaxed)) {
    sweep_now_and_then(now);
  }
  OfShard& mine = of(exchange.shard);
  write_key(exchange, mine.key);
  const CacheKey key{mine.key, store_->hash_of(mine.key)};
  if (const auto known = mine.known.find(key); known != mine.known.end()) {
    for (const CachedRef& kept : known->second) {
      if (kept->gone.load(std::memory_order_acquire) || !kept->is_fresh(now)) continue;
      if (!kept->is_for(exchange.head, request)) continue;
      answer(exchange, mine, kept, request.selects);
      return Found::answered;
    }
  }
  return look_further(exchange, mine, key, request);
}

// It does not change what the shard knows: `kept` may be of that.
void ResponseCache::answer(core::Exchange& exchange, OfShard& mine, const CachedRef& kept,
                           bool selects) {
  if (!kept->used.load(std::memory_order_relaxed))
    kept->used.store(true, std::memory_order_relaxed);
  mine.hits.add();
  if (!exchange.answer.is_plain()) exchange.answer.set_extras().tap.reset();
  give(exchange, kept, selects, true);
  session_.respond(exchange);
}

const CacheRules& ResponseCache::rules_for(OfShard& mine) const {
  const std::uint64_t version = rules_version_.load(std::memory_order_acquire);
  if (mine.rules_version != version) {
    std::lock_guard lock(rules_mutex_);
    mine.rules = rules_;
    mine.rules_version = version;
  }
  return *mine.rules;
}

ResponseCache::Found ResponseCache::look_further(core::Exchange& exchange, OfShard& mine,
                                                 const CacheKey& key, const CacheRequest& request) {
  auto* ticket = static_cast<Ticket*>(exchange.answer.tap());
  if (ticket && ticket->leads) return Found::nothing;
  const bool gets = exchange.head.method == http::Method::get;
  const CacheRule* rule = gets ? rules_for(mine).find(exchange.document) : nullptr;
  if (rule == nullptr && !store_->may_know(key.hash)) return Found::nothing;
  const base::Instant now = exchange.shard.now;
  const bool is_for_all = gets && !request.is_personal && !(rule && request.has_cookie);
  CacheStore::Question question{key, exchange.head, request, now, {}, rule != nullptr};
  // A client must not lead by what will not be kept, only because of how it asks.
  question.may_lead = is_for_all && !request.selects && !request.no_store &&
                      !request.only_if_cached &&
                      http::is_spelled_as(exchange.head.path, exchange.document);
  question.may_wait = is_for_all && !request.only_if_cached &&
                      (!ticket || (ticket->waits < kMostWaits && now < ticket->wait_until));
  if (question.may_wait) question.seat = {exchange.shard.mailbox, &mine};
  CacheStore::Looked looked = store_->look_up(question);
  try {
    if (!looked.fresh.empty()) {
      mine.known.erase(key);
      const CachedRef& first = looked.fresh.front();
      mine.known.emplace(first->key(), looked.fresh);
    }
    if (looked.found) {
      answer(exchange, mine, looked.found, request.selects);
      return Found::answered;
    }
    if (request.only_if_cached && (rule != nullptr || looked.is_known)) {
      // RFC 9111 section 5.2.1.7
      exchange.set_plain(504, "nothing of it is kept here\n");
      session_.respond(exchange);
      return Found::answered;
    }
    if (!ticket && !rule && !looked.leads && !looked.waits) return Found::nothing;
    if (!ticket) {
      auto made = std::make_unique<Ticket>(*this, exchange.shard);
      ticket = made.get();
      exchange.answer.set_extras().tap = std::move(made);
    }
    ticket->rule = rule;
    ticket->rules = rule ? mine.rules : nullptr;
    if (looked.waits) {
      if (ticket->waits == 0) {
        ticket->wait_until =
            now + std::chrono::milliseconds(wait_ms_.load(std::memory_order_relaxed));
      }
      mine.waiting.push_back({&exchange, looked.waits, ticket->wait_until});
    }
  } catch (const std::bad_alloc&) {
    if (looked.leads) store_->finish(looked.leads, CacheStore::Outcome::lost, now);
    if (looked.waits) store_->leave(looked.waits);
    throw;
  }
  ticket->leads = std::move(looked.leads);
  if (!looked.waits) return Found::nothing;
  ++ticket->waits;
  exchange.retain();
  exchange.in_cache = true;
  mine.shard = &exchange.shard;
  mine.set_timer();
  return Found::later;
}

void ResponseCache::given_up(core::Exchange& exchange) {
  OfShard& mine = of(exchange.shard);
  exchange.in_cache = false;
  const auto place =
      std::find_if(mine.waiting.begin(), mine.waiting.end(),
                   [&](const OfShard::Waiting& one) { return one.exchange == &exchange; });
  if (place == mine.waiting.end()) return;
  store_->leave(place->flight);
  mine.waiting.erase(place);
  mine.set_timer();
  exchange.release();
}

// --- Kept ----------------------------------------------------------------------------------------

void ResponseCache::keep(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  core::AnswerExtras& extras = answer.set_extras();
  const std::unique_ptr<core::AnswerTap> tap = std::move(extras.tap);
  auto* ticket = static_cast<Ticket*>(tap.get());
  const auto asked = std::exchange(extras.cache, std::nullopt);
  const CacheRequest request = read_request(exchange);
  const AnswerFacts facts = read_answer(answer.fields);
  const std::int64_t wall = exchange.shard.wall_seconds();
  const base::Instant now = exchange.shard.now;
  Verdict verdict = judge(answer.status, facts, exchange.head, request, asked,
                          ticket ? ticket->rule : nullptr, wall);
  // What is in a file is kept by those who read it.
  if (store_->entry_bytes() == 0 || !extras.parts.empty() || answer.has_range ||
      !extras.trailers.empty() ||
      answer.fields.size() + answer.text.size() > store_->entry_bytes()) {
    verdict.ttl = {};
  }
  if (verdict.ttl.count() <= 0) {
    if (ticket) ticket->end_flight(CacheStore::Outcome::not_kept, now);
    return;
  }
  const AnswerHead head{answer.status, answer.has_type ? std::string_view(answer.type) : "",
                        answer.fields, exchange.shard.date()};
  auto made = make_cached(head, facts, std::move(answer.text), verdict, exchange.head, now, wall);
  made->uncoded = extras.uncoded;
  const CachedRef kept = made;
  const bool stored = put(exchange, std::move(made), ticket ? ticket->leads : nullptr);
  if (ticket) {
    ticket->end_flight(stored ? CacheStore::Outcome::kept : CacheStore::Outcome::lost, now);
  }
  forget_answer(exchange);
  give(exchange, kept, request.selects, false);
}

void ResponseCache::changed(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  answer.set_extras().changes = false;
  // RFC 9111 section 4.4
  if (answer.error != Errc::none || answer.status < 200 || answer.status > 399) return;
  store_->change(mark_of(exchange));
  if (store_->wants_release()) tell_to_release();
}

bool ResponseCache::put(core::Exchange& exchange, std::shared_ptr<CachedAnswer> made,
                        const FlightRef& own) {
  if (session_.cache_in_use.load(std::memory_order_relaxed) == nullptr) {
    session_.cache_in_use.store(this, std::memory_order_release);
  }
  OfShard& mine = of(exchange.shard);
  mine.misses.add();
  write_key(exchange, made->key_text);
  made->hash = store_->hash_of(made->key_text);
  made->bytes += made->key_text.size() + CachedAnswer::kOverheadOfShard * shards_.size();
  CacheStore::Waiters others;
  const bool stored =
      store_->put(std::move(made), exchange.cache_ticket, exchange.shard.now, own, &others);
  if (others.flight) OfShard::wake_all(others.flight, others.seats);
  if (store_->wants_release()) tell_to_release();
  return stored;
}

// --- Let go --------------------------------------------------------------------------------------

void ResponseCache::sweep_now_and_then(base::Instant now) {
  std::int64_t due = next_sweep_.load(std::memory_order_relaxed);
  // One shard does it.
  if (now.time_since_epoch().count() < due ||
      !next_sweep_.compare_exchange_strong(due, std::numeric_limits<std::int64_t>::max())) {
    return;
  }
  next_sweep_.store(store_->sweep(now).time_since_epoch().count(), std::memory_order_relaxed);
  if (store_->wants_release()) tell_to_release();
}

void ResponseCache::tell_to_release() {
  for (core::Shard* shard : session_.shards) {
    shard->mailbox->post_always([mine = &of(*shard)] { mine->release(); });
  }
}

std::size_t ResponseCache::flush(std::string_view url, bool recursive) {
  const auto mark = FlushMark::read(url, recursive);
  if (!mark) return 0;
  const std::size_t count = store_->flush(*mark);
  if (count != 0) tell_to_release();
  return count;
}

void ResponseCache::apply(const ResponseCacheOptions& options, std::vector<CacheRule> rules) {
  const auto made = std::make_shared<const CacheRules>(std::move(rules));
  std::shared_ptr<const CacheRules> before;
  const bool in_use = !made->empty() && options.bytes != 0;
  {
    std::lock_guard lock(rules_mutex_);
    before = std::exchange(rules_, made);
    rules_version_.fetch_add(1, std::memory_order_release);
  }
  // What a rule has kept that is not in force any more is not given, nor kept when it comes.
  if (*before != *made) {
    store_->flush_ruled([&](std::string_view document) {
      const CacheRule *was = before->find(document), *is = made->find(document);
      return was && is && *was == *is;
    });
  }
  wait_ms_.store(options.wait.count(), std::memory_order_relaxed);
  store_->set(options, base::read_clock());
  if (in_use) session_.cache_in_use.store(this, std::memory_order_release);
  tell_to_release();
}

CacheCounters ResponseCache::counters() const {
  CacheCounters sum = store_->counters();
  for (const auto& each : shards_) {
    sum.hits += each->hits.get();
    sum.misses += each->misses.get();
  }
  return sum;
}

Result<void> ResponseCache::check(const ResponseCacheOptions& options,
                                  const std::vector<CacheRule>& rules) {
  constexpr std::size_t kMostPath = 2048;
  if (options.entry_bytes < 1024 || (options.bytes != 0 && options.entry_bytes > options.bytes)) {
    return bad("response_cache.entry_bytes", "must be from 1,024 to response_cache.bytes");
  }
  if (options.wait.count() < 0 || options.wait > std::chrono::hours(1)) {
    return bad("response_cache.wait", "must be from 0 to an hour");
  }
  if (rules.size() > kMostRules) return bad("cache_rules", "has more than 64 rules");
  for (const CacheRule& rule : rules) {
    const std::string name = "cache_rules: \"" + rule.path + "\":";
    if (!rule.path.starts_with('/') || rule.path.size() > kMostPath) {
      return bad(name, "path must begin with / and have at most 2,048 bytes");
    }
    if (rule.ttl.count() < 1) return bad(name, "ttl must be at least 1 ms");
    const auto is_same = [&](const CacheRule& other) { return other.path == rule.path; };
    if (std::count_if(rules.begin(), rules.end(), is_same) > 1) return bad(name, "is given twice");
  }
  return {};
}

}  // namespace sluice::service

// api/api_keys.cpp - bodies of sluice/api_keys.hpp.
#include <sluice/api_keys.hpp>

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <new>
#include <utility>

#include "api/api_key_manager.hpp"
#include "core/dispatcher.hpp"
#include "core/shard.hpp"
#include "service/api_keys/key_step.hpp"
#include "service/api_keys/memory_store.hpp"
#include "service/api_keys/sqlite_store.hpp"

namespace sluice {
namespace {

using api_keys::KeyManager;
using api_keys::KeyRecord;

static_assert(ApiKey::kNever == api_keys::kNever);

// --- The same in public terms --------------------------------------------------------------------

ApiKey shown(const KeyRecord& record) {
  ApiKey key;
  key.id = record.id;
  key.prefix = record.prefix;
  key.owner = record.owner;
  key.scopes = record.scopes;
  for (const api_keys::Network& network : record.networks) key.networks.push_back(network.text());
  key.rate = {record.rate.requests, record.rate.period};
  key.created = record.created;
  key.expires = record.expires;
  key.revoked = record.revoked;
  key.replaced_by = record.replaced_by;
  key.grace_until = record.grace_until;
  return key;
}

IssuedApiKey shown(const api_keys::IssuedKey& issued) {
  return {shown(issued.record), std::string(issued.text.view())};
}

ApiKeyRotation shown(const KeyManager::Rotation& rotation) {
  return {shown(rotation.issued), shown(rotation.old)};
}

std::vector<ApiKey> shown(const std::vector<KeyRecord>& records) {
  std::vector<ApiKey> keys;
  keys.reserve(records.size());
  for (const KeyRecord& record : records) keys.push_back(shown(record));
  return keys;
}

ApiKeyAuditEntry shown(const api_keys::AuditEntry& entry) {
  return {entry.time, entry.actor, entry.action, entry.key, entry.detail};
}

std::vector<ApiKeyAuditEntry> shown(const std::vector<api_keys::AuditEntry>& entries) {
  std::vector<ApiKeyAuditEntry> list;
  list.reserve(entries.size());
  for (const api_keys::AuditEntry& entry : entries) list.push_back(shown(entry));
  return list;
}

ApiKeyStore::Record stored(const KeyRecord& record) {
  static_assert(sizeof(record.hash) == sizeof(ApiKeyStore::Record::hash));
  ApiKeyStore::Record out{shown(record), {}};
  std::copy(record.hash.begin(), record.hash.end(), out.hash.begin());
  return out;
}

Result<std::vector<api_keys::Network>> read_networks(const std::vector<std::string>& texts) {
  std::vector<api_keys::Network> networks;
  for (const std::string& text : texts) {
    auto network = api_keys::Network::parse(text);
    if (!network) return network.error();
    networks.push_back(*network);
  }
  return networks;
}

Result<KeyRecord> read_record(const ApiKeyStore::Record& stored) {
  const ApiKey& key = stored.key;
  auto networks = read_networks(key.networks);
  if (!networks) return networks.error();
  KeyRecord record;
  record.id = key.id;
  std::copy(stored.hash.begin(), stored.hash.end(), record.hash.begin());
  record.prefix = key.prefix;
  record.owner = key.owner;
  record.scopes = key.scopes;
  record.networks = std::move(*networks);
  record.rate = {key.rate.requests, key.rate.period};
  record.created = key.created;
  record.expires = key.expires;
  record.revoked = key.revoked;
  record.replaced_by = key.replaced_by;
  record.grace_until = key.grace_until;
  if (const auto problem = api_keys::problem_of(record)) {
    return Error(Errc::io_failed, "the store has a record that cannot be: " + *problem);
  }
  return record;
}

// --- A store of the application's own ------------------------------------------------------------

class OwnStore final : public api_keys::Store {
 public:
  explicit OwnStore(std::unique_ptr<ApiKeyStore> store) : store_(std::move(store)) {}

  Result<crypto::Secret> secret() override {
    return guarded<crypto::Secret>([&]() -> Result<crypto::Secret> {
      auto text = store_->secret();
      if (!text) return text.error();
      crypto::Secret kept(*text);
      crypto::wipe(*text);
      if (kept.size() < 32) return Error(Errc::bad_setting, "the store's secret is too short");
      return kept;
    });
  }
  Result<bool> add(const KeyRecord& key, const api_keys::AuditEntry& entry) override {
    return guarded<bool>([&]() -> Result<bool> {
      auto added = store_->add(stored(key), shown(entry));
      if (!added) return added.error();
      return false;
    });
  }
  Result<Edited> edit(std::string_view id, const Edit& edit, api_keys::AuditEntry entry) override {
    return guarded<Edited>([&]() -> Result<Edited> {
      const ApiKeyStore::Edit judge = [&](ApiKeyStore::Record& record,
                                          std::optional<ApiKeyStore::Record>& replacement) {
        return OwnStore::judge(edit, record, replacement);
      };
      auto edited = store_->edit(id, judge, shown(entry));
      if (!edited) return edited.error();
      auto key = read_record(edited->record);
      if (!key) return key.error();
      Edited out{std::move(*key), {}, false};
      if (!edited->replacement) return out;
      auto replacement = read_record(*edited->replacement);
      if (!replacement) return replacement.error();
      out.replacement = std::move(*replacement);
      return out;
    });
  }
  Result<std::vector<KeyRecord>> all() override {
    return guarded<std::vector<KeyRecord>>([&]() -> Result<std::vector<KeyRecord>> {
      auto all = store_->all();
      if (!all) return all.error();
      std::vector<KeyRecord> records;
      for (const ApiKeyStore::Record& one : *all) {
        auto record = read_record(one);
        if (!record) return record.error();
        records.push_back(std::move(*record));
      }
      return records;
    });
  }
  Result<std::vector<api_keys::AuditEntry>> audit(std::size_t most) override {
    using Entries = std::vector<api_keys::AuditEntry>;
    return guarded<Entries>([&]() -> Result<Entries> {
      auto entries = store_->audit(most);
      if (!entries) return entries.error();
      Entries list;
      for (ApiKeyAuditEntry& entry : *entries) {
        list.push_back({entry.time, std::move(entry.actor), std::move(entry.action),
                        std::move(entry.key), std::move(entry.detail)});
      }
      return list;
    });
  }
  Result<std::uint64_t> version() override {
    return guarded<std::uint64_t>([&] { return store_->version(); });
  }

 private:
  static Result<void> judge(const Edit& edit, ApiKeyStore::Record& record,
                            std::optional<ApiKeyStore::Record>& replacement) {
    auto key = read_record(record);
    if (!key) return key.error();
    std::optional<KeyRecord> added;
    if (auto fine = edit(*key, added); !fine) return fine.error();
    record = stored(*key);
    if (added) replacement = stored(*added);
    return {};
  }
  template <class T, class Work>
  static Result<T> guarded(Work work) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {
      return Error(Errc::io_failed, "the store of API keys threw an exception");
    }
  }
  const std::unique_ptr<ApiKeyStore> store_;
};

// --- Telling the application ---------------------------------------------------------------------

template <class Work>
void tell(Work work) noexcept {
  try {
    work();
  } catch (...) {
    // Nobody is there to be told.
  }
}

// What the service tells, in public terms; `told` is called once.
template <class T, class Public>
KeyManager::Done<T> told_as(std::function<void(Result<Public>)> told) {
  return [told = std::move(told)](Result<T> result) {
    tell([&] {
      if (!result) return told(result.error());
      told(shown(*result));
    });
  };
}

api_keys::KeyEvents service_events(const ApiKeyEvents& events) {
  api_keys::KeyEvents out;
  const auto wrapped = [](const std::function<void(const ApiKey&)>& event) {
    std::function<void(const KeyRecord&)> told;
    if (event) {
      told = [event](const KeyRecord& key) { tell([&] { event(shown(key)); }); };
    }
    return told;
  };
  out.issued = wrapped(events.on_issued);
  out.revoked = wrapped(events.on_revoked);
  out.expired = wrapped(events.on_expired);
  if (events.on_validated) {
    out.validated = [event = events.on_validated](const KeyRecord& key) {
      tell([&] { event({key.id, key.owner, key.scopes}); });
    };
  }
  if (events.on_rotated) {
    out.rotated = [event = events.on_rotated](const KeyRecord& old, const KeyRecord& replacement) {
      tell([&] { event(shown(old), shown(replacement)); });
    };
  }
  if (events.on_store_failed) {
    out.store_failed = [event = events.on_store_failed](const Error& why) {
      tell([&] { event(why); });
    };
  }
  return out;
}

// Who asks, for the audit.
std::string named(std::string_view actor) {
  return std::string(actor.empty() ? "application" : actor);
}

// Networks that cannot be read are told like what else is wrong with a request.
Result<api_keys::KeyRequest> read_request(const ApiKeyRequest& request) {
  auto networks = read_networks(request.networks);
  if (!networks) return networks.error();
  return api_keys::KeyRequest{request.owner,        request.scopes,
                              std::move(*networks), {request.rate.requests, request.rate.period},
                              request.expires,      request.prefix};
}

}  // namespace

ApiKeyStore::~ApiKeyStore() = default;

// --- The thread ----------------------------------------------------------------------------------

// Signals are the application's: no thread of ours takes them.
KeyThread::KeyThread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

KeyThread::~KeyThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool KeyThread::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (ending_ || tasks_.size() >= kMostTasks) return false;
  try {
    tasks_.push_back(std::move(task));
  } catch (const std::bad_alloc&) {
    return false;
  }
  changed_.notify_all();
  return true;
}

void KeyThread::look_each(std::chrono::milliseconds interval, std::function<void()> look) {
  const std::lock_guard lock(mutex_);
  interval_ = interval;
  look_ = std::move(look);
  changed_.notify_all();
}

void KeyThread::stop_looking() {
  std::unique_lock lock(mutex_);
  interval_ = {};
  changed_.wait(lock, [this] { return !looking_; });
  look_ = nullptr;
}

void KeyThread::run() {
  std::unique_lock lock(mutex_);
  auto next = std::chrono::steady_clock::now();
  while (true) {
    if (!tasks_.empty()) {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    } else if (ending_) {
      return;
    }
    if (interval_.count() == 0) {
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty() || interval_.count() > 0; });
      next = std::chrono::steady_clock::now() + interval_;
      continue;
    }
    if (std::chrono::steady_clock::now() >= next) {
      looking_ = true;
      lock.unlock();
      look_();
      lock.lock();
      looking_ = false;
      changed_.notify_all();
      next = std::chrono::steady_clock::now() + interval_;
    }
    if (tasks_.empty() && !ending_ && interval_.count() > 0) changed_.wait_until(lock, next);
  }
}

// --- The manager ---------------------------------------------------------------------------------

Result<std::shared_ptr<ApiKeyManager>> ApiKeyManager::Impl::open(
    std::unique_ptr<api_keys::Store> store, ApiKeySettings settings) {
  auto impl = std::make_unique<Impl>(std::move(settings));
  const ApiKeySettings& wanted = impl->settings;
  api_keys::KeySettings inner;
  inner.grace = wanted.grace;
  inner.fail_closed = wanted.fail_closed;
  inner.check_interval = wanted.check_interval;
  inner.stale_after = wanted.stale_after;
  KeyThread& thread = impl->thread;
  impl->keys = std::make_shared<KeyManager>(
      std::move(store),
      [&thread](std::function<void()> task) { return thread.post(std::move(task)); }, inner,
      service_events(wanted.events));
  auto opened = impl->wait_for<void>(
      [&impl](auto done) { impl->keys->open(api_keys::read_clocks(), std::move(done)); });
  if (!opened) return opened.error();
  thread.look_each(wanted.check_interval,
                   [keys = impl->keys.get()] { keys->check(api_keys::read_clocks()); });
  return std::shared_ptr<ApiKeyManager>(new ApiKeyManager(std::move(impl)));
}

// A server that still has it holds a use of the whole.
ApiKeyManager::Impl::~Impl() {
  thread.stop_looking();
  keys.reset();
}

bool ApiKeyManager::Impl::may_wait() const {
  return core::Shard::current() == nullptr && !core::ThreadPool::on_pool_thread() &&
         !thread.is_current();
}

template <class T, class Begin>
Result<T> ApiKeyManager::Impl::wait_for(Begin begin) const {
  if (!may_wait()) return Errc::would_deadlock;
  struct Answer {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<T>> result;
  };
  const auto answer = std::make_shared<Answer>();
  begin([answer](Result<T> result) {
    const std::lock_guard lock(answer->mutex);
    answer->result.emplace(std::move(result));
    answer->changed.notify_all();
  });
  std::unique_lock lock(answer->mutex);
  answer->changed.wait(lock, [&answer] { return answer->result.has_value(); });
  return std::move(*answer->result);
}

ApiKeyManager::ApiKeyManager(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiKeyManager::~ApiKeyManager() = default;

Result<std::shared_ptr<ApiKeyManager>> ApiKeyManager::memory(ApiKeySettings settings) {
  if (auto fine = api_keys::check(settings); !fine) return fine.error();
  return Impl::open(std::make_unique<api_keys::MemoryStore>(), std::move(settings));
}

Result<std::shared_ptr<ApiKeyManager>> ApiKeyManager::sqlite(const std::string& file,
                                                             ApiKeySettings settings,
                                                             const std::string& secret_file) {
  if (auto fine = api_keys::check(settings); !fine) return fine.error();
  auto store = api_keys::SqliteStore::open(file, {.secret_file = secret_file});
  if (!store) return store.error();
  return Impl::open(std::move(*store), std::move(settings));
}

Result<std::shared_ptr<ApiKeyManager>> ApiKeyManager::custom(std::unique_ptr<ApiKeyStore> store,
                                                             ApiKeySettings settings) {
  if (auto fine = api_keys::check(settings); !fine) return fine.error();
  if (!store) return Error(Errc::bad_setting, "there is no store");
  return Impl::open(std::make_unique<OwnStore>(std::move(store)), std::move(settings));
}

void ApiKeyManager::issue(const ApiKeyRequest& request, std::string_view actor,
                          Done<IssuedApiKey> done) {
  auto read = read_request(request);
  if (!read) {
    // Where `done` is told of everything else.
    const Error& why = read.error();
    if (!impl_->thread.post([done, why] { tell([&] { done(why); }); })) tell([&] { done(why); });
    return;
  }
  impl_->keys->issue(std::move(*read), named(actor), api_keys::read_clocks(),
                     told_as<api_keys::IssuedKey, IssuedApiKey>(std::move(done)));
}

void ApiKeyManager::revoke(std::string_view id, std::string_view actor, Done<ApiKey> done) {
  impl_->keys->revoke(std::string(id), named(actor), api_keys::read_clocks(),
                      told_as<KeyRecord, ApiKey>(std::move(done)));
}

void ApiKeyManager::rotate(std::string_view id, std::string_view actor,
                           std::optional<std::chrono::seconds> grace, Done<ApiKeyRotation> done) {
  impl_->keys->rotate(std::string(id), grace.value_or(impl_->settings.grace), named(actor),
                      api_keys::read_clocks(),
                      told_as<KeyManager::Rotation, ApiKeyRotation>(std::move(done)));
}

void ApiKeyManager::renew(std::string_view id, ApiKey::Time expires, std::string_view actor,
                          Done<ApiKey> done) {
  impl_->keys->renew(std::string(id), expires, named(actor), api_keys::read_clocks(),
                     told_as<KeyRecord, ApiKey>(std::move(done)));
}

void ApiKeyManager::list(std::string_view owner, Done<std::vector<ApiKey>> done) {
  impl_->keys->list(std::string(owner),
                    told_as<std::vector<KeyRecord>, std::vector<ApiKey>>(std::move(done)));
}

void ApiKeyManager::audit(std::size_t most, Done<std::vector<ApiKeyAuditEntry>> done) {
  impl_->keys->audit(
      most,
      told_as<std::vector<api_keys::AuditEntry>, std::vector<ApiKeyAuditEntry>>(std::move(done)));
}

Result<IssuedApiKey> ApiKeyManager::issue(const ApiKeyRequest& request, std::string_view actor) {
  return impl_->wait_for<IssuedApiKey>(
      [&](Done<IssuedApiKey> done) { issue(request, actor, std::move(done)); });
}

Result<ApiKey> ApiKeyManager::revoke(std::string_view id, std::string_view actor) {
  return impl_->wait_for<ApiKey>([&](Done<ApiKey> done) { revoke(id, actor, std::move(done)); });
}

Result<ApiKeyRotation> ApiKeyManager::rotate(std::string_view id, std::string_view actor,
                                             std::optional<std::chrono::seconds> grace) {
  return impl_->wait_for<ApiKeyRotation>(
      [&](Done<ApiKeyRotation> done) { rotate(id, actor, grace, std::move(done)); });
}

Result<ApiKey> ApiKeyManager::renew(std::string_view id, ApiKey::Time expires,
                                    std::string_view actor) {
  return impl_->wait_for<ApiKey>(
      [&](Done<ApiKey> done) { renew(id, expires, actor, std::move(done)); });
}

Result<std::vector<ApiKey>> ApiKeyManager::list(std::string_view owner) {
  return impl_->wait_for<std::vector<ApiKey>>(
      [&](Done<std::vector<ApiKey>> done) { list(owner, std::move(done)); });
}

Result<std::vector<ApiKeyAuditEntry>> ApiKeyManager::audit(std::size_t most) {
  using Entries = std::vector<ApiKeyAuditEntry>;
  return impl_->wait_for<Entries>([&](Done<Entries> done) { audit(most, std::move(done)); });
}

bool ApiKeyManager::is_failing() const { return impl_->keys->is_failing(); }
std::size_t ApiKeyManager::size() const { return impl_->keys->size(); }

}  // namespace sluice

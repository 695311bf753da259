// apps/sluice/keys.cpp - see keys.hpp.
#include "sluice/keys.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "service/api_keys/key.hpp"
#include "service/api_keys/manager.hpp"
#include "service/api_keys/sqlite_store.hpp"

namespace sluice::app {
namespace {

using api_keys::KeyManager;
using api_keys::KeyRecord;
using std::chrono::seconds;

int fail(const Error& error) {
  const bool usage = error.code == Errc::invalid_argument;
  const std::string words = error.detail.empty() ? error.message() : error.detail;
  fmt::print(stderr, "sluice: {}\n", words);
  return usage ? exit_usage : exit_runtime;
}

Error invalid(const char* option, std::string_view text, const char* form) {
  return {Errc::invalid_argument, fmt::format("{}: \"{}\" is not {}", option, text, form)};
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

// 90d, 24h, 30m, 15s.
std::optional<seconds> read_span(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint32_t number = 0;
  if (!read_number(text.substr(0, text.size() - 1), number)) return std::nullopt;
  switch (text.back()) {
    case 's':
      return seconds(number);
    case 'm':
      return std::chrono::minutes(number);
    case 'h':
      return std::chrono::hours(number);
    case 'd':
      return std::chrono::days(number);
    default:
      return std::nullopt;
  }
}

// 2027-01-31: the first second of that day, UTC.
std::optional<api_keys::Time> read_date(std::string_view text) {
  int year = 0;
  unsigned month = 0, day = 0;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' ||
      !read_number(text.substr(0, 4), year) || !read_number(text.substr(5, 2), month) ||
      !read_number(text.substr(8, 2), day)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

Result<api_keys::Time> read_expiry(const std::string& text, api_keys::Time now) {
  if (text.empty() || text == "never") return api_keys::kNever;
  if (const auto span = read_span(text)) return now + *span;
  if (const auto date = read_date(text)) return *date;
  return invalid("--expires", text, "90d, 24h, 30m, 15s, a date 2027-01-31, or never");
}

// 100/60s, 5/s.
Result<api_keys::Rate> read_rate(std::string_view text) {
  api_keys::Rate rate;
  if (text.empty()) return rate;
  const std::size_t slash = text.find('/');
  const std::string_view period = slash == std::string_view::npos ? "" : text.substr(slash + 1);
  const auto span = read_span(period.size() == 1 ? "1" + std::string(period) : std::string(period));
  if (!span || !read_number(text.substr(0, slash), rate.requests) || rate.requests == 0) {
    return invalid("--rate", text, "REQUESTS/PERIOD, for example 100/60s or 5/s");
  }
  rate.period = *span;
  return rate;
}

// Who runs this, for the audit.
std::string actor() {
  const uid_t user = ::getuid();
  const passwd* const entry = ::getpwuid(user);
  return entry != nullptr && *entry->pw_name != '\0' ? entry->pw_name : fmt::format("uid {}", user);
}

// A store, and its manager whose tasks run at once: when a call returns it is done.
class Opened {
 public:
  static Result<Opened> open(const KeysOptions& options, bool create) {
    auto store = api_keys::SqliteStore::open(options.store,
                                             {.create = create, .secret_file = options.secret});
    if (!create && store.error().code == Errc::not_found &&
        ::access(options.store.c_str(), F_OK) != 0) {
      return Error(Errc::not_found, store.error().detail + "; `sluice keys issue` makes a store");
    }
    if (!store) return store.error();
    Opened out;
    const auto at_once = [](const std::function<void()>& task) { return task(), true; };
    out.keys_ = std::make_unique<KeyManager>(std::move(*store), at_once);
    Result<void> opened = Errc::gone;
    out.keys_->open(out.now_, [&opened](Result<void> result) { opened = std::move(result); });
    if (!opened) return opened.error();
    return out;
  }

  // Calls a method of the manager and answers what it told.
  template <class T, class... Arguments, class... Given>
  Result<T> call(void (KeyManager::*method)(Arguments...), Given&&... given) {
    Result<T> told = Errc::gone;
    (keys_.get()->*method)(std::forward<Given>(given)...,
                           [&told](Result<T> result) { told = std::move(result); });
    return told;
  }
  api_keys::Moment now() const { return now_; }

 private:
  api_keys::Moment now_ = api_keys::read_clocks();
  std::unique_ptr<KeyManager> keys_;
};

// The one time that a key is shown. 0, or an errno: then nobody has seen it.
int show(const crypto::Secret& text) {
  crypto::Secret line(text.size() + 1);
  text.view().copy(reinterpret_cast<char*>(line.bytes().data()), text.size());
  line.bytes().back() = std::byte{'\n'};
  for (std::string_view rest = line.view(); !rest.empty();) {
    const ssize_t put = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  return 0;
}

// A key that nobody has seen must not be left valid.
int not_shown(Opened& store, const std::string& id, int number) {
  const auto revoked = store.call<KeyRecord>(&KeyManager::revoke, id, actor(), store.now());
  fmt::print(stderr, "sluice: the key could not be written to standard output ({}); {} {}\n",
             std::generic_category().message(number), id,
             revoked ? "was revoked" : "should be revoked");
  return exit_runtime;
}

int issue(const KeysOptions& options) {
  api_keys::KeyRequest request;
  request.owner = options.owner;
  request.scopes = options.scopes;
  if (!options.prefix.empty()) request.prefix = options.prefix;
  for (const std::string& text : options.allow) {
    const auto network = api_keys::Network::parse(text);
    if (!network) return fail(network.error());
    request.networks.push_back(*network);
  }
  const auto rate = read_rate(options.rate);
  if (!rate) return fail(rate.error());
  request.rate = *rate;
  const api_keys::Time now = api_keys::read_clocks().wall;
  const auto expires = read_expiry(options.expires, now);
  if (!expires) return fail(expires.error());
  if (*expires <= now) {
    return fail(Error(Errc::invalid_argument, "--expires: the key would have expired already"));
  }
  request.expires = *expires;
  // Before a store is made for it.
  KeyRecord judged;
  judged.id = api_keys::new_id();
  judged.prefix = request.prefix;
  judged.owner = request.owner;
  judged.scopes = request.scopes;
  judged.networks = request.networks;
  judged.rate = request.rate;
  judged.expires = request.expires;
  if (auto problem = problem_of(judged)) {
    return fail(Error(Errc::invalid_argument, std::move(*problem)));
  }

  auto store = Opened::open(options, true);
  if (!store) return fail(store.error());
  const auto issued =
      store->call<api_keys::IssuedKey>(&KeyManager::issue, request, actor(), store->now());
  if (!issued) return fail(issued.error());
  const KeyRecord& key = issued->record;
  if (const int number = show(issued->text)) return not_shown(*store, key.id, number);
  fmt::print(stderr, "issued {} for {}, expires {}; the key is not shown again\n", key.id,
             key.owner, api_keys::text_of(key.expires));
  return exit_drained;
}

int revoke(const KeysOptions& options) {
  auto store = Opened::open(options, false);
  if (!store) return fail(store.error());
  const auto revoked =
      store->call<KeyRecord>(&KeyManager::revoke, options.id, actor(), store->now());
  if (revoked.error().code == Errc::no_such_key) {
    return fail(Error(Errc::no_such_key, options.store + " has no key " + options.id));
  }
  if (!revoked) return fail(revoked.error());
  fmt::print(stderr, "revoked {} of {}\n", revoked->id, revoked->owner);
  return exit_drained;
}

int rotate(const KeysOptions& options) {
  const auto grace = read_span(options.grace);
  if (!grace) return fail(invalid("--grace", options.grace, "24h, 7d, 30m or 0s"));
  auto store = Opened::open(options, false);
  if (!store) return fail(store.error());
  using Method = void (KeyManager::*)(std::string, seconds, std::string, api_keys::Moment,
                                      KeyManager::Done<KeyManager::Rotation>);
  const auto rotation = store->call<KeyManager::Rotation>(
      static_cast<Method>(&KeyManager::rotate), options.id, *grace, actor(), store->now());
  if (rotation.error().code == Errc::no_such_key) {
    return fail(Error(Errc::no_such_key, options.store + " has no key " + options.id));
  }
  if (!rotation) return fail(rotation.error());
  const KeyRecord& key = rotation->issued.record;
  if (const int number = show(rotation->issued.text)) return not_shown(*store, key.id, number);
  fmt::print(stderr, "issued {} for {}, expires {}; {} ends {}; the key is not shown again\n",
             key.id, key.owner, api_keys::text_of(key.expires), rotation->old.id,
             api_keys::text_of(rotation->old.ends()));
  return exit_drained;
}

// --- list ----------------------------------------------------------------------------------------

const char* state_of(const KeyRecord& key, api_keys::Time now) {
  if (key.revoked != api_keys::kNever) return "revoked";
  if (key.ends() <= now) return "expired";
  return key.replaced_by.empty() ? "valid" : "grace";
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  return fmt::format("{}", fmt::join(words, between));
}

std::vector<std::string> texts_of(const std::vector<api_keys::Network>& networks) {
  std::vector<std::string> texts;
  texts.reserve(networks.size());
  for (const api_keys::Network& network : networks) texts.push_back(network.text());
  return texts;
}

// RFC 8259. What a record may hold is UTF-8 without controls.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string json_list(const std::vector<std::string>& words) {
  std::vector<std::string> quotes;
  quotes.reserve(words.size());
  for (const std::string& word : words) quotes.push_back(quoted(word));
  return "[" + joined(quotes, ", ") + "]";
}

std::string json_time(api_keys::Time time) {
  return time == api_keys::kNever ? "null" : quoted(api_keys::text_of(time));
}

void print_json(const std::vector<KeyRecord>& keys, api_keys::Time now) {
  const char* between = "\n";
  fmt::print("[");
  for (const KeyRecord& key : keys) {
    fmt::print(
        "{}  {{\"id\": {}, \"state\": \"{}\", \"owner\": {}, \"prefix\": {}, \"scopes\": {}, "
        "\"networks\": {}, \"rate\": {}, \"created\": {}, \"expires\": {}, \"revoked\": {}, "
        "\"replaced_by\": {}, \"grace_until\": {}}}",
        between, quoted(key.id), state_of(key, now), quoted(key.owner), quoted(key.prefix),
        json_list(key.scopes), json_list(texts_of(key.networks)),
        key.rate.requests == 0 ? "null"
                               : fmt::format("{{\"requests\": {}, \"seconds\": {}}}",
                                             key.rate.requests, key.rate.period.count()),
        json_time(key.created), json_time(key.expires), json_time(key.revoked),
        key.replaced_by.empty() ? "null" : quoted(key.replaced_by), json_time(key.grace_until));
    between = ",\n";
  }
  fmt::print("{}]\n", keys.empty() ? "" : "\n");
}

void print_table(const std::vector<KeyRecord>& keys, api_keys::Time now) {
  fmt::print("{:<16}  {:<7}  {:<20}  {:<20}  {}\n", "ID", "STATE", "CREATED", "ENDS", "OWNER");
  for (const KeyRecord& key : keys) {
    std::string more;
    if (!key.scopes.empty()) more += "  scopes " + joined(key.scopes, ",");
    if (!key.networks.empty()) more += "  from " + joined(texts_of(key.networks), ",");
    if (key.rate.requests > 0) {
      more += fmt::format("  rate {}/{}s", key.rate.requests, key.rate.period.count());
    }
    if (!key.replaced_by.empty()) more += "  replaced by " + key.replaced_by;
    fmt::print("{:<16}  {:<7}  {:<20}  {:<20}  {}{}\n", key.id, state_of(key, now),
               api_keys::text_of(key.created), api_keys::text_of(key.ends()), key.owner, more);
  }
}

int list(const KeysOptions& options) {
  auto store = Opened::open(options, false);
  if (!store) return fail(store.error());
  const auto keys = store->call<std::vector<KeyRecord>>(&KeyManager::list, options.owner);
  if (!keys) return fail(keys.error());
  if (options.json) {
    print_json(*keys, store->now().wall);
  } else {
    print_table(*keys, store->now().wall);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail(Error(Errc::io_failed, "the list could not be written to standard output"));
  }
  return exit_drained;
}

}  // namespace

int keys(const KeysOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // a key that nobody took is revoked first
  switch (options.verb) {
    case KeysOptions::Verb::issue:
      return issue(options);
    case KeysOptions::Verb::list:
      return list(options);
    case KeysOptions::Verb::revoke:
      return revoke(options);
    case KeysOptions::Verb::rotate:
      return rotate(options);
  }
  return exit_usage;
}

}  // namespace sluice::app

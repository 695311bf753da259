// service/api_keys/key_step.cpp - see key_step.hpp.
//
// Layer: service. Thread: the exchange's shard, but for what says otherwise.
#include "service/api_keys/key_step.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/http/field_rules.hpp"
#include "proto/http/target.hpp"
#include "proto/http/token.hpp"
#include "service/rate_limit/rate_rule.hpp"

namespace sluice::api_keys {
namespace {

constexpr std::string_view kHidden = "***";
constexpr std::size_t kMostNameChars = 64;
constexpr std::size_t kMostPaths = 256;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Whether `raw`, percent-encoded or not, well-formed or not, is `name`, which has no percent sign.
bool is_named(std::string_view raw, std::string_view name) {
  std::size_t at = 0;
  for (const char wanted : name) {
    if (at == raw.size()) return false;
    int c = static_cast<unsigned char>(raw[at]);
    if (c == '%' && at + 2 < raw.size() && hex_value(raw[at + 1]) >= 0 &&
        hex_value(raw[at + 2]) >= 0) {
      c = hex_value(raw[at + 1]) << 4 | hex_value(raw[at + 2]);
      at += 2;
    }
    if (c != static_cast<unsigned char>(wanted)) return false;
    ++at;
  }
  return at == raw.size();
}

bool is_parameter_name(std::string_view name) {
  return name.size() <= kMostNameChars && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '~';
         });
}

}  // namespace

Result<void> check(const ApiKeySettings& settings) {
  const auto bad = [](std::string_view member, std::string_view why) {
    return Error(Errc::bad_setting, std::string(member).append(" ").append(why));
  };
  if (!settings.header.empty() && !http::is_token(settings.header)) {
    return bad("header", "is not the name of a field");
  }
  if (!is_parameter_name(settings.query_parameter)) {
    return bad("query_parameter", "must be at most 64 letters, digits, -, _, . or ~");
  }
  if (settings.header.empty() && settings.query_parameter.empty()) {
    return bad("header", "and query_parameter are both empty: no request could carry a key");
  }
  if (settings.paths.size() > kMostPaths) return bad("paths", "are at most 256");
  for (const ApiKeyPath& path : settings.paths) {
    if (!path.prefix.starts_with('/')) {
      return bad("paths", "has \"" + path.prefix + "\", which does not begin with /");
    }
    const auto is_same = [&path](const ApiKeyPath& other) { return other.prefix == path.prefix; };
    if (std::count_if(settings.paths.begin(), settings.paths.end(), is_same) > 1) {
      return bad("paths", "has \"" + path.prefix + "\" twice");
    }
    if (!path.scope.empty() && (!is_scope(path.scope) || path.scope.ends_with('*'))) {
      return bad("paths", "has \"" + path.scope + "\", which is no scope");
    }
  }
  if (settings.grace < std::chrono::seconds(0)) return bad("grace", "must not be below zero");
  if (settings.check_interval < std::chrono::milliseconds(10) ||
      settings.check_interval > std::chrono::hours(24)) {
    return bad("check_interval", "must be from 10 ms to a day");
  }
  if (settings.stale_after < 2 * settings.check_interval ||
      settings.stale_after > std::chrono::hours(24 * 30)) {
    return bad("stale_after", "must be from twice check_interval to 30 days");
  }
  return {};
}

// What the query had.
struct KeyStep::State final : core::GateState {
  void given_up(core::Exchange&) override {}
  std::string_view key;  // in the exchange's memory
  bool ambiguous = false;
};

KeyStep::KeyStep(std::shared_ptr<KeyManager> keys, const ApiKeySettings& settings,
                 std::size_t shards)
    : keys_(std::move(keys)),
      header_(settings.header),
      parameter_(settings.query_parameter),
      required_(settings.required),
      paths_([&settings] {
        std::vector<ApiKeyPath> paths = settings.paths;
        if (paths.empty()) paths.push_back({});
        for (ApiKeyPath& path : paths) {
          if (path.prefix.ends_with('/')) path.prefix.pop_back();
        }
        std::stable_sort(paths.begin(), paths.end(), [](const ApiKeyPath& a, const ApiKeyPath& b) {
          return a.prefix.size() > b.prefix.size();
        });
        return paths;
      }()) {
  readers_.resize(shards);
}

void KeyStep::on_path(core::Exchange& exchange) {
  http::RequestHead& head = exchange.head;
  if (parameter_.empty() || head.query.empty()) return;
  std::unique_ptr<State> mine;
  std::string_view query = head.query, name, value;
  while (http::next_parameter(query, name, value)) {
    if (!is_named(name, parameter_)) continue;
    if (mine) {
      mine->ambiguous = true;
      continue;
    }
    mine = std::make_unique<State>();
    const auto decoded = http::decode_component(value, exchange.arena);
    mine->key = decoded.value_or("%");  // no key
  }
  std::string hidden = hide_parameter(head.query, parameter_);
  if (hidden != head.query) {
    // The query is the rest of the target behind the first question mark.
    std::string target(head.target.substr(0, head.target.find('?') + 1));
    const std::size_t before = target.size();
    const std::string_view kept = exchange.arena.copy(target.append(hidden));
    head.target = kept;
    head.query = kept.substr(before);
  }
  if (mine) set_state(exchange, std::move(mine));
}

std::string KeyStep::shown(std::string_view target) const {
  return parameter_.empty() ? std::string(target) : hide_parameter(target, parameter_);
}

const ApiKeyPath* KeyStep::place_of(std::string_view document) const {
  // OPTIONS * is about the server: it lies below no path but belongs to the root.
  if (document == "*") document = "/";
  for (const ApiKeyPath& path : paths_) {
    if (service::is_below(document, path.prefix)) return &path;
  }
  return nullptr;
}

core::Gate::Verdict KeyStep::check(core::Exchange& exchange) {
  const ApiKeyPath* place = place_of(exchange.document);
  if (!place) return Verdict::pass;
  const auto* mine = static_cast<State*>(state(exchange));
  std::size_t found = 0;
  std::string_view key;
  if (mine) {
    key = mine->key;
    found = mine->ambiguous ? 2 : 1;
  }
  if (!header_.empty()) {
    for (const http::Field& field : exchange.head.fields) {
      if (!http::same_name(field.name, header_)) continue;
      key = field.value;
      ++found;
    }
  }
  if (found == 0 && !required_) return Verdict::pass;
  if (found == 0) return refuse(exchange, {Errc::auth_required, nullptr, {}});
  // Two keys may be two minds: neither is believed.
  if (found > 1) return refuse(exchange, {Errc::auth_malformed, nullptr, {}});
  const core::Shard& shard = exchange.shard;
  const Moment now{Time(std::chrono::seconds(shard.wall_seconds())), shard.now};
  std::unique_ptr<KeyReader>& reader = readers_[shard.index];
  if (!reader) reader = std::make_unique<KeyReader>(*keys_);
  KeyReader::Verdict verdict =
      reader->validate(key, exchange.connection->remote, place->scope, now);
  if (verdict.code != Errc::none) return refuse(exchange, verdict);
  exchange.api_key = {verdict.key->id, verdict.key->owner, verdict.key->scopes};
  exchange.api_key_memory = std::move(verdict.key);
  return Verdict::pass;
}

core::Gate::Verdict KeyStep::refuse(core::Exchange& exchange,
                                    const KeyReader::Verdict& verdict) const {
  core::ServerSession& session = exchange.shard.session;
  std::string words(exchange.head.method_text);
  words.append(" ").append(session.shown_target(exchange));
  words.append(" from ").append(exchange.connection->remote.ip());
  words.append(", API key");
  if (verdict.key) words.append(" ").append(verdict.key->id);
  exchange.set_error(verdict.code);
  switch (exchange.answer.status) {
    case 401:  // has a challenge (RFC 9110 section 15.5.2), though keys have no scheme of HTTP
      exchange.add_field_unchecked("WWW-Authenticate", "ApiKey");
      break;
    case 429: {
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(verdict.retry_after);
      exchange.add_field_unchecked("Retry-After", std::to_string(seconds.count()));
      break;
    }
    case 503:
      exchange.add_field_unchecked("Retry-After", "1");
      break;
    default:
      break;
  }
  session.reject(exchange.connection, {verdict.code, std::move(words)}, exchange.shard);
  session.respond(exchange);
  return Verdict::answered;
}

std::string hide_parameter(std::string_view target, std::string_view name) {
  // Also what somebody may have meant as one.
  constexpr std::string_view kEnds = "?&;#";
  std::string text;
  while (true) {
    std::size_t end = std::min(target.find_first_of(kEnds), target.size());
    const std::string_view piece = target.substr(0, end);
    const std::size_t equals = piece.find('=');
    if (equals != std::string_view::npos && is_named(piece.substr(0, equals), name)) {
      text.append(piece.substr(0, equals + 1)).append(kHidden);
      end = std::min(target.find('&'), target.size());
    } else {
      text.append(piece);
    }
    if (end == target.size()) return text;
    text.push_back(target[end]);
    target.remove_prefix(end + 1);
  }
}

}  // namespace sluice::api_keys

// api/certificates.cpp - see certificates.hpp.
//
// Layer: api.
#include "api/certificates.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <new>
#include <utility>

#include "base/clock.hpp"
#include "tls/self_signed.hpp"
#include "tls/store.hpp"

namespace sluice::api {
namespace {

using std::chrono::system_clock;
using Stamps = std::vector<Certificates::Stamp>;

// The keys of tickets are looked after at least so often.
constexpr std::chrono::milliseconds kTurn = std::chrono::hours(1);
constexpr std::chrono::hours kTellExpiry{24};
// Of a certificate, in a message.
constexpr std::size_t kMostNames = 5;

constexpr std::string_view kStays = "; what was in force stays";

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Certificates::Stamp stamp_of(const std::string& file) {
  struct stat facts {};
  Certificates::Stamp stamp;
  if (::stat(file.c_str(), &facts) != 0) return stamp;
  stamp.exists = true;
  stamp.device = facts.st_dev;
  stamp.number = facts.st_ino;
  stamp.size = std::uint64_t(facts.st_size);
  stamp.modified = nanoseconds(facts.st_mtim);
  stamp.changed = nanoseconds(facts.st_ctim);
  return stamp;
}

Stamps stamps_of(const std::vector<std::string>& files) {
  Stamps stamps;
  stamps.reserve(files.size());
  for (const std::string& file : files) stamps.push_back(stamp_of(file));
  return stamps;
}

std::vector<std::string> files_of(const PortWish& wish) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& file) {
    if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end()) {
      files.push_back(file);
    }
  };
  for (const CertificateWish& one : wish.certificates) {
    add(one.from.certificate_file);
    add(one.from.private_key_file);
    add(one.from.ocsp_file);
  }
  add(wish.client_ca_file);
  return files;
}

std::string date_of(system_clock::time_point time) {
  const std::time_t seconds = system_clock::to_time_t(time);
  std::tm parts{};
  char text[32] = {};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "?";
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::string shown_names(const tls::Context& context) {
  std::vector<std::string> names;
  for (const tls::CertificateFacts& facts : context.certificates()) {
    for (const auto* list : {&facts.names, &facts.addresses}) {
      for (const std::string& name : *list) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
  }
  if (names.empty()) return "no name";
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    text += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kMostNames) {
    text += " and " + std::to_string(names.size() - kMostNames) + " more";
  }
  return text;
}

std::string words_of(const Error& why) { return why.detail.empty() ? why.message() : why.detail; }

Error at(const std::string& setting, const Error& why) {
  return {why.code, setting + ": " + words_of(why)};
}

bool names_file(const Error& why, const std::string& file) {
  return !file.empty() && why.detail.find(file) != std::string::npos;
}

// Which member of `one` an error is about.
std::string setting_of(const CertificateWish& one, const Error& why) {
  if (!one.from.hash.empty()) return one.setting + ".hash";
  const bool of_key =
      names_file(why, one.from.private_key_file) &&
      (!names_file(why, one.from.certificate_file) ||
       why.detail.find(one.from.private_key_file) < why.detail.find(one.from.certificate_file));
  return one.setting + (of_key ? ".private_key_file" : ".certificate_file");
}

// The same for what is found out when they are put together.
std::string setting_of(const PortWish& wish, const Error& why) {
  for (const CertificateWish& one : wish.certificates) {
    if (names_file(why, one.from.ocsp_file)) return one.setting + ".ocsp_file";
  }
  if (names_file(why, wish.client_ca_file)) return wish.client_setting;
  return wish.certificates.empty() ? "ssl_options.self_signed"
                                   : wish.certificates.front().setting + ".certificate_file";
}

tls::Version version_of(TlsVersion version) {
  return version == TlsVersion::tls13 ? tls::Version::tls13 : tls::Version::tls12;
}

tls::ClientCertificate clients_of(ClientCertificates clients) {
  switch (clients) {
    case ClientCertificates::optional:
      return tls::ClientCertificate::optional;
    case ClientCertificates::required:
      return tls::ClientCertificate::required;
    case ClientCertificates::none:
      break;
  }
  return tls::ClientCertificate::none;
}

}  // namespace

Result<void> check_certificates(const Settings& settings) {
  std::vector<Prefix> prefixes;
  for (const Binding& binding : settings.bindings.list()) {
    Result<Prefix> prefix = parse_prefix(binding);
    if (!prefix) return prefix.error();
    prefixes.push_back(std::move(*prefix));
  }
  Certificates certificates([](LogLevel, Errc, const std::string&) {});
  if (auto made = certificates.make(settings, prefixes); !made) return made.error();
  return {};
}

Certificates::Certificates(Log log) : log_(std::move(log)) {}

Certificates::~Certificates() { stop(); }

// Who told a client to trust it need not do so again after an apply() or a restart.
Result<tls::Certificate> Certificates::development_certificate(
    const std::vector<std::string>& names) {
  if (development_ && development_names_ == names &&
      development_->facts().not_after > system_clock::now() + kSoon) {
    return *development_;
  }
  std::vector<std::string_view> all(std::begin(tls::kLocalNames), std::end(tls::kLocalNames));
  for (const std::string& name : names) {
    if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
  }
  Result<tls::Certificate> made = tls::self_signed(all);
  if (!made) return made;
  development_ = *made;
  development_names_ = names;
  return made;
}

Result<std::shared_ptr<const tls::Context>> Certificates::context_of(
    const Port& port, std::vector<std::string>& more_files) {
  const PortWish& wish = port.wish;
  tls::ServerSettings settings;
  for (const CertificateWish& one : wish.certificates) {
    const SslCertificate& from = one.from;
    Result<tls::Certificate> read =
        from.hash.empty()
            ? tls::Certificate::from_files(from.certificate_file, from.private_key_file)
            : tls::find_in_store(one.store, from.hash);
    if (!read) return at(setting_of(one, read.error()), read.error());
    if (!from.hash.empty()) more_files.push_back(read->facts().source);
    settings.certificates.push_back({*read, from.ocsp_file});
  }
  if (wish.self_signed) {
    Result<tls::Certificate> made = development_certificate(port.names);
    if (!made) return at("ssl_options.self_signed", made.error());
    settings.certificates.push_back({*made});
  }
  settings.minimum = version_of(wish.minimum_version);
  settings.client_certificate = clients_of(wish.client_certificates);
  settings.client_ca_file = wish.client_ca_file;
  if (wish.http2) settings.protocols.emplace_back("h2");
  settings.protocols.emplace_back("http/1.1");
  settings.ticket_keys = tickets_;
  auto made = tls::Context::server(settings);
  if (!made) return at(setting_of(wish, made.error()), made.error());
  return made;
}

Result<Certificates::Port> Certificates::make_port(const PortWish& wish,
                                                   const std::vector<std::string>& names) {
  Port port;
  port.wish = wish;
  port.names = names;
  port.files = files_of(wish);
  port.stamps = stamps_of(port.files);  // before they are read: what comes later is seen
  std::vector<std::string> more;
  auto context = context_of(port, more);
  if (!context) return context.error();
  port.context = std::move(*context);
  for (std::string& file : more) {
    port.stamps.push_back(stamp_of(file));
    port.files.push_back(std::move(file));
  }
  return port;
}

Result<Certificates::Made> Certificates::make(const Settings& settings,
                                              std::span<const Prefix> prefixes) {
  auto wish = ssl_wish(settings, prefixes);
  if (!wish) return wish.error();
  std::lock_guard lock(work_);
  if (!tickets_ && !wish->ports.empty()) {
    tickets_ = std::make_shared<tls::TicketKeys>(base::read_clock());
  }
  Made made;
  made.warnings = std::move(wish->warnings);
  for (const PortWish& one : wish->ports) {
    auto port = make_port(one, wish->names);
    if (!port) return port.error();
    made.ports.push_back(std::move(*port));
  }
  return made;
}

void Certificates::tell_expiry(const tls::Context& context, std::set<std::string>& told) const {
  const auto now = system_clock::now();
  for (const tls::CertificateFacts& facts : context.certificates()) {
    if (facts.not_after <= now || facts.not_after > now + kSoon) continue;
    const std::string text = facts.source + " expires on " + date_of(facts.not_after) +
                             ": renew it, the server takes the new one by itself";
    if (told.insert(text).second) log_(LogLevel::warning, Errc::none, text);
  }
}

void Certificates::tell_warnings(const Made& made) const {
  std::set<std::string> told;
  for (const std::string& text : made.warnings) {
    if (told.insert(text).second) log_(LogLevel::warning, Errc::none, text);
  }
  for (const Port& port : made.ports) {
    for (const std::string& text : port.context->warnings()) {
      if (told.insert(text).second) log_(LogLevel::warning, Errc::none, text);
    }
    tell_expiry(*port.context, told);
  }
}

void Certificates::begin(Made made) {
  tell_warnings(made);
  for (Port& port : made.ports) port.secure = std::make_shared<wire::SecurePort>(port.context);
  std::lock_guard work(work_);
  if (tickets_) tickets_->turn(base::read_clock());  // time has gone by while it was stopped
  std::lock_guard lock(mutex_);
  ports_ = std::move(made.ports);
}

void Certificates::change(Made made) {
  tell_warnings(made);
  std::lock_guard work(work_);
  for (Port& port : made.ports) {
    for (const std::size_t prefix : port.wish.prefixes) {
      port.secure = port_of(prefix);
      if (port.secure) port.secure->set(port.context);
    }
  }
  std::lock_guard lock(mutex_);
  ports_ = std::move(made.ports);
}

void Certificates::watch(std::chrono::milliseconds interval) {
  if (ports_.empty() || (watch_ && interval == interval_)) return;
  watch_.reset();
  interval_ = interval;
  expiry_told_ = std::chrono::steady_clock::now();
  watch_ = std::make_unique<Watchdog>(interval.count() > 0 ? std::min(interval, kTurn) : kTurn,
                                      [this](Watchdog&) { look(); });
}

void Certificates::stop() {
  watch_.reset();
  std::lock_guard work(work_);
  std::lock_guard lock(mutex_);
  ports_.clear();
}

void Certificates::look() {
  std::lock_guard work(work_);
  tickets_->turn(base::read_clock());
  if (interval_.count() > 0) {
    std::set<std::string> wrong;
    for (Port& port : ports_) look_at(port, wrong);
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - expiry_told_ < kTellExpiry) return;
  expiry_told_ = now;
  std::set<std::string> told;
  for (const Port& port : ports_) {
    tell_expiry(*port.context, told);
    for (const tls::CertificateFacts& facts : port.context->certificates()) {
      if (facts.not_after > system_clock::now()) continue;
      const std::string text = facts.source + " has expired: " + date_of(facts.not_after);
      if (told.insert(text).second) log_(LogLevel::warning, Errc::none, text);
    }
  }
}

// A renewal writes several files, one after the other: who is in the middle of it is left alone.
void Certificates::look_at(Port& port, std::set<std::string>& told) {
  Stamps now = stamps_of(port.files);
  if (now == port.stamps) {
    port.changing.reset();
    return;
  }
  if (!port.changing || *port.changing != now) {
    port.changing = std::move(now);
    return;
  }
  // Once for each version, whatever comes of it.
  port.stamps = std::move(now);
  port.changing.reset();
  Made made;
  try {
    auto read = make_port(port.wish, port.names);
    if (!read) {
      const Error& why = read.error();
      const std::string text = words_of(why) + std::string(kStays);
      if (told.insert(text).second) log_(LogLevel::error, why.code, text);
      return;
    }
    made.ports.push_back(std::move(*read));
  } catch (const std::bad_alloc&) {
    log_(LogLevel::error, Errc::out_of_memory,
         "there is no memory for a certificate" + std::string(kStays));
    return;
  }
  tell_warnings(made);
  Port& next = made.ports.front();
  next.secure = port.secure;
  next.secure->set(next.context);
  log_(LogLevel::info, Errc::none,
       "certificates have changed: " + shown_names(*next.context) + ", until " +
           date_of(next.context->expires()));
  std::lock_guard lock(mutex_);
  port = std::move(next);
}

std::shared_ptr<wire::SecurePort> Certificates::port_of(std::size_t prefix) const {
  std::lock_guard lock(mutex_);
  for (const Port& port : ports_) {
    const auto& all = port.wish.prefixes;
    if (std::find(all.begin(), all.end(), prefix) != all.end()) return port.secure;
  }
  return nullptr;
}

std::string Certificates::names_of(std::size_t prefix) const {
  const auto port = port_of(prefix);
  return port ? shown_names(*port->context()) : std::string();
}

std::optional<system_clock::time_point> Certificates::expire() const {
  std::lock_guard lock(mutex_);
  std::optional<system_clock::time_point> first;
  for (const Port& port : ports_) {
    const auto at_port = port.context->expires();
    if (!first || at_port < *first) first = at_port;
  }
  return first;
}

}  // namespace sluice::api

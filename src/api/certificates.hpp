// api/certificates.hpp - the certificates of a server: read, in force on its https ports, and read
// again when their files change.
//
// docs/adr/0029. Layer: api. Thread: who starts, stops or changes the server, one at a time; a
// thread of its own while there are https ports; what else is said. Never a shard's: files are
// read.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/server.hpp>

#include "api/ssl_wish.hpp"
#include "api/watchdog.hpp"
#include "front/wire/secure_port.hpp"
#include "tls/certificate.hpp"
#include "tls/context.hpp"
#include "tls/ticket_keys.hpp"

namespace sluice::api {

// Whether a start with `settings` would find certificates that it can use: reads their files.
// Errors as those of Certificates::make.
Result<void> check_certificates(const Settings& settings);

class Certificates {
 public:
  // Told of warnings, and of what came of files that have changed; also on the thread of the watch.
  using Log = std::function<void(LogLevel, Errc, const std::string&)>;
  // Whoever expires earlier is a warning.
  static constexpr std::chrono::hours kSoon{30 * 24};

  explicit Certificates(Log log);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // What a file was when it was looked at.
  struct Stamp {
    std::uint64_t device = 0, number = 0, size = 0;
    std::int64_t modified = 0, changed = 0;  // nanoseconds
    bool exists = false;

    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Port {
    PortWish wish;
    std::vector<std::string> names;  // of a certificate for development
    std::vector<std::string> files;
    std::vector<Stamp> stamps;  // as they were before they were read last
    std::optional<std::vector<Stamp>> changing;
    std::shared_ptr<const tls::Context> context;
    std::shared_ptr<wire::SecurePort> secure;  // shared by all listeners of the port
  };
  struct Made {
    std::vector<Port> ports;
    std::vector<std::string> warnings;
  };

  // Reads all files that the https ports among `prefixes` need; nothing is in force yet. All of
  // them or, with an error, none. Errors: bad_setting, with the setting's name, the file, and what
  // to do.
  Result<Made> make(const Settings& settings, std::span<const Prefix> prefixes);
  // Of a start: they have their ports.
  void begin(Made made);
  // For those who connect from now on. Precondition: made of the prefixes of begin().
  void change(Made made);
  // Looks at the files every `interval` (0: never), and after the keys of tickets. Without https
  // ports there is nothing to watch.
  void watch(std::chrono::milliseconds interval);
  // The watch ends, and no port is left; tickets stay good for the next start.
  void stop();

  // What a prefix, by its place among all, is secured with; null: it is http.
  std::shared_ptr<wire::SecurePort> port_of(std::size_t prefix) const;
  // The names of its certificates, for a message; empty: it is http.
  std::string names_of(std::size_t prefix) const;
  // Any thread; waits for no file.
  std::optional<std::chrono::system_clock::time_point> expire() const;

 private:
  Result<Port> make_port(const PortWish& wish, const std::vector<std::string>& names);
  Result<std::shared_ptr<const tls::Context>> context_of(const Port& port,
                                                         std::vector<std::string>& more_files);
  Result<tls::Certificate> development_certificate(const std::vector<std::string>& names);
  void tell_warnings(const Made& made) const;
  void tell_expiry(const tls::Context& context, std::set<std::string>& told) const;
  // On the thread of the watch.
  void look();
  void look_at(Port& port, std::set<std::string>& told);

  const Log log_;
  std::shared_ptr<tls::TicketKeys> tickets_;     // from the first https port on
  std::optional<tls::Certificate> development_;  // the same until the server goes
  std::vector<std::string> development_names_;
  std::mutex work_;           // held while files are read
  mutable std::mutex mutex_;  // of ports_; nobody waits under it
  std::vector<Port> ports_;   // changed with both
  std::chrono::milliseconds interval_{0};
  std::chrono::steady_clock::time_point expiry_told_{};
  std::unique_ptr<Watchdog> watch_;
};

}  // namespace sluice::api

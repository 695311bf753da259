// io/resolver.hpp - names to addresses, over c-ares, so that no shard waits for a DNS server.
//
// RFC 1034, 1035 (DNS), 6724 (order of addresses), 6761 section 6.3 (localhost).
// Layer: io. Thread: resolve() from any; answers come on the resolver's own thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/result.hpp>

namespace sluice::io {

struct IpAddress {
  enum class Family : std::uint8_t { ip4, ip6 };
  Family family = Family::ip4;
  std::array<std::uint8_t, 16> bytes{};  // in network order; ip4 uses the first four

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// What became of one question: addresses, or an error.
struct Resolved {
  std::vector<IpAddress> addresses;  // the best first; not empty without an error
  // How long they hold: the smallest of the records; 0 is for one use. What no DNS server said
  // (/etc/hosts, localhost, an address) has none and gets kTtlOfOthers.
  std::chrono::seconds ttl{0};
  Error error;
};

// Asks, and keeps nothing: whoever asks keeps what he was told for as long as it holds.
class Resolver {
 public:
  static constexpr std::size_t kMostPending = 1000;
  static constexpr std::chrono::seconds kTtlOfOthers{60};

  // `servers`: "127.0.0.1:5353", "[::1]:53", "127.0.0.1", "::1"; then only they are asked, about
  // whole names. Empty: what the system says, /etc/hosts first, then the servers and search domains
  // of /etc/resolv.conf, which is read now and not again. `timeout`: until an answer, with all
  // repetitions.
  // Errors: bad_setting (which server, or the timeout), unavailable, too_many_files.
  // Thread: a program that uses c-ares by itself calls ares_library_init before it has threads.
  static Result<std::unique_ptr<Resolver>> create(
      const std::vector<std::string>& servers,
      std::chrono::milliseconds timeout = std::chrono::seconds(5));

  // Every resolve() that is pending is told Errc::cancelled, and then the thread ends, before this
  // returns. Not from `done`.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Asks for the IPv4 and IPv6 addresses of `name`; whoever asks for the same name meanwhile gets
  // the same answer. An address ("10.0.0.1", "::1", "[::1]") and localhost need no server.
  // `done` is called once, on the resolver's thread, and must not throw; it may call resolve().
  // Thread: any. The first call makes the resolver's thread; where that fails, and only there,
  // `done` is called with unavailable before this returns.
  // Errors, with the name in the detail: bad_host (neither a name nor an address), not_found,
  // timed_out, io_failed (the servers failed, refused or answered nonsense; where no server is,
  // this or timed_out), unavailable (kMostPending wait already), cancelled; without it,
  // out_of_memory.
  void resolve(const std::string& name, std::function<void(Resolved)> done);

 private:
  struct State;
  explicit Resolver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::io

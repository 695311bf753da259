// io/resolver.cpp - a thread that runs c-ares: questions come in by a queue, answers leave by
// calls.
#include "io/resolver.hpp"

#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <list>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "io/failure.hpp"
#include "io/host_name.hpp"

namespace sluice::io {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kTries = 3;  // of each server; each waits twice as long as the one before

// Whether a route leads to ::1; nothing is sent.
bool has_ip6_loopback() {
  const int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(9);
  to.sin6_addr = in6addr_loopback;
  const bool has = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  ::close(fd);
  return has;
}

std::vector<IpAddress> loopback() {
  std::vector<IpAddress> addresses;
  if (has_ip6_loopback()) addresses.push_back(*parse_address("::1"));
  addresses.push_back(*parse_address("127.0.0.1"));
  return addresses;
}

int start_library() {
  // Counts its calls without a lock, and keeps nothing that must be given back.
  static const int status = ::ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

Error ares_error(const char* step, int status) {
  if (status == ARES_ENOMEM) return Errc::out_of_memory;
  return {Errc::unavailable, std::string(step) + ": " + ::ares_strerror(status)};
}

std::size_t count_servers(ares_channel channel) {
  ares_addr_port_node* first = nullptr;
  if (::ares_get_servers_ports(channel, &first) != ARES_SUCCESS) return 1;
  std::size_t count = 0;
  for (const ares_addr_port_node* at = first; at; at = at->next) ++count;
  ::ares_free_data(first);
  return std::max<std::size_t>(count, 1);
}

int set_servers(ares_channel channel, const std::vector<DnsServer>& servers) {
  std::vector<ares_addr_port_node> nodes(servers.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const auto& [address, port] = servers[i];
    const bool ip4 = address.family == IpAddress::Family::ip4;
    nodes[i].next = i + 1 < servers.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = ip4 ? AF_INET : AF_INET6;
    std::copy_n(address.bytes.data(), ip4 ? 4 : 16,
                reinterpret_cast<std::uint8_t*>(&nodes[i].addr));
    nodes[i].udp_port = nodes[i].tcp_port = port;
  }
  return ::ares_set_servers_ports(channel, nodes.data());
}

}  // namespace

// --- the thread ----------------------------------------------------------------------------------

struct Resolver::State {
  struct Call {
    std::string name;
    std::function<void(Resolved)> done;
    bool refused = false;  // and not counted in `pending`
  };
  // One name that c-ares was asked for, and who waits for it.
  struct Question {
    State* state = nullptr;
    std::string name = {};
    std::list<Call> waiting = {};
    Clock::time_point deadline = {};
    Resolved result = {};
    bool asking = true;     // c-ares has not returned from the call that asks
    bool given_up = false;  // nobody waits any more
  };
  using Questions = std::list<Question>;

  ~State() {
    if (channel) ::ares_destroy(channel);
    if (wake_fd >= 0) ::close(wake_fd);
  }

  Error open(const std::vector<DnsServer>& servers);
  Error open_channel(const std::vector<DnsServer>& servers, std::size_t count);
  void start();
  void wake() const;
  void run();
  void take(std::list<Call>& call);
  Error answer(Questions& one);
  void ask(Questions& one);
  void tell(std::list<Call>& calls, const Resolved& result);
  void tell_error(std::list<Call>& calls, int status);
  void tell_answered();
  void give_up_late();
  void wait();
  void end();
  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* question, int status, int timeouts, ares_addrinfo* found);

  milliseconds timeout{};
  int wake_fd = -1;
  std::thread thread;

  std::mutex mutex;  // of the next three
  std::list<Call> incoming;
  std::size_t pending = 0;
  bool ending = false;

  // The thread's own.
  ares_channel channel = nullptr;
  std::vector<pollfd> polled;  // the first is wake_fd's
  Questions under_way;         // by deadline, for all have the same timeout
  Questions late;              // given up, but c-ares still has them
  Questions answered;
};

Error Resolver::State::open(const std::vector<DnsServer>& servers) {
  wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return system_error("eventfd", errno);
  polled.push_back({wake_fd, POLLIN, 0});
  if (const int status = start_library(); status != ARES_SUCCESS) {
    return ares_error("ares_library_init", status);
  }
  if (Error error = open_channel(servers, std::max<std::size_t>(servers.size(), 1))) return error;
  // How many servers the system has is known only now, and how long each may take depends on it.
  const std::size_t count = count_servers(channel);
  if (!servers.empty() || count == 1) return {};
  ::ares_destroy(std::exchange(channel, nullptr));
  return open_channel(servers, count);
}

Error Resolver::State::open_channel(const std::vector<DnsServer>& servers, std::size_t count) {
  ares_options options{};
  polled.reserve(1 + 2 * count);  // UDP and TCP to each: so that on_socket needs no memory
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
             ARES_OPT_SOCK_STATE_CB;
  options.flags = ARES_FLAG_NOALIASES;
  // c-ares ends before our deadline: then what one of A and AAAA brought is not lost when
  // the other is never answered.
  constexpr milliseconds::rep kRounds = (1 << kTries) - 1;  // 1 + 2 + 4
  const auto each = timeout.count() * 3 / 4 / (kRounds * milliseconds::rep(count));
  options.timeout = int(std::clamp<milliseconds::rep>(each, 1, 600'000));
  options.tries = kTries;
  char hosts_and_dns[] = "fb", dns[] = "b";
  options.lookups = servers.empty() ? hosts_and_dns : dns;
  if (!servers.empty()) mask |= ARES_OPT_DOMAINS;  // none
  options.sock_state_cb = &State::on_socket;
  options.sock_state_cb_data = this;
  if (const int status = ::ares_init_options(&channel, &options, mask); status != ARES_SUCCESS) {
    channel = nullptr;
    return ares_error("ares_init_options", status);
  }
  if (servers.empty()) return {};
  const int status = set_servers(channel, servers);
  return status == ARES_SUCCESS ? Error() : ares_error("ares_set_servers_ports", status);
}

void Resolver::State::start() {
  // Signals are for the program's threads; and a TCP socket of c-ares must not raise SIGPIPE.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Resolver::State::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the count is full, and then it wakes too.
  [[maybe_unused]] const ssize_t n = ::write(wake_fd, &one, sizeof one);
}

void Resolver::State::run() {
  while (true) {
    std::list<Call> calls;
    {
      std::lock_guard lock(mutex);
      if (ending) break;
      calls.swap(incoming);
    }
    while (!calls.empty()) {
      std::list<Call> one;
      one.splice(one.begin(), calls, calls.begin());
      take(one);
    }
    tell_answered();
    wait();
    give_up_late();
  }
  end();
}

// Takes the one call in `call`: answers it, or lets it wait for a question.
void Resolver::State::take(std::list<Call>& call) {
  Questions one;
  Error error;
  try {
    Question& question = one.emplace_back();
    question.state = this;
    question.name = small_letters(call.front().name);
    question.waiting.swap(call);
    error = answer(one);
  } catch (const std::bad_alloc&) {
    error = Errc::out_of_memory;
  }
  if (!error) return;
  if (!one.empty()) call.splice(call.end(), one.front().waiting);
  Resolved result;
  result.error = std::move(error);
  tell(call, result);
}

// Moves `one` to where it belongs, or says why nothing can be done; then it is where it was.
Error Resolver::State::answer(Questions& one) {
  Question& question = one.front();
  const std::string& name = question.name;
  if (question.waiting.front().refused) {
    return {Errc::unavailable, quoted(name) + ": too many names are asked for at the same time"};
  }
  if (auto address = parse_host_address(name)) {
    question.result.addresses.push_back(*address);
  } else if (!is_host_name(name)) {
    return {Errc::bad_host, quoted(name)};
  } else if (is_localhost(name)) {
    question.result.addresses = loopback();
  }
  if (!question.result.addresses.empty()) {
    question.result.ttl = kTtlOfOthers;
    answered.splice(answered.end(), one);
    return {};
  }
  for (Question& other : under_way) {
    if (other.name != name) continue;
    other.waiting.splice(other.waiting.end(), question.waiting);
    return {};
  }
  if (under_way.size() + late.size() >= kMostPending) {
    return {Errc::unavailable, quoted(name) + ": too many names are being asked for"};
  }
  ask(one);
  return {};
}

void Resolver::State::ask(Questions& one) {
  Question& question = one.front();
  question.deadline = Clock::now() + timeout;
  under_way.splice(under_way.end(), one);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ::ares_getaddrinfo(channel, question.name.c_str(), nullptr, &hints, &State::on_answer, &question);
  question.asking = false;
}

namespace {

Error error_of(int status, const std::string& name) {
  switch (status) {
    case ARES_ENOMEM:
      return Errc::out_of_memory;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
      return {Errc::not_found, quoted(name) + ": no such name, or it has no address"};
    case ARES_ETIMEOUT:
      return {Errc::timed_out, quoted(name) + ": no DNS server has answered"};
    case ARES_EBADNAME:
      return {Errc::bad_host, quoted(name)};
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return {Errc::cancelled, quoted(name)};
    default:
      return {Errc::io_failed, quoted(name) + ": " + ::ares_strerror(status)};
  }
}

void copy_addresses(const ares_addrinfo& found, Resolved& result) {
  int ttl = std::numeric_limits<int>::max();
  for (const ares_addrinfo_node* at = found.nodes; at; at = at->ai_next) {
    IpAddress address;
    if (at->ai_family == AF_INET) {
      const auto* ip4 = reinterpret_cast<const sockaddr_in*>(at->ai_addr);
      std::copy_n(reinterpret_cast<const std::uint8_t*>(&ip4->sin_addr), 4, address.bytes.data());
    } else if (at->ai_family == AF_INET6) {
      const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(at->ai_addr);
      address.family = IpAddress::Family::ip6;
      std::copy_n(reinterpret_cast<const std::uint8_t*>(&ip6->sin6_addr), 16, address.bytes.data());
    } else {
      continue;
    }
    result.addresses.push_back(address);
    ttl = std::min(ttl, at->ai_ttl);
  }
  for (const ares_addrinfo_cname* at = found.cnames; at; at = at->next)
    ttl = std::min(ttl, at->ttl);
  // Above 2^31 it counts as 0 (RFC 2181 section 8).
  result.ttl = std::chrono::seconds(std::max(ttl, 0));
}

}  // namespace

// Runs inside c-ares: throws nothing, and calls nobody.
void Resolver::State::on_answer(void* to, int status, int, ares_addrinfo* found) {
  Question& question = *static_cast<Question*>(to);
  State& state = *question.state;
  Questions& from = question.given_up ? state.late : state.under_way;
  const auto self = std::find_if(from.begin(), from.end(),
                                 [&](const Question& other) { return &other == &question; });
  if (question.given_up) {
    from.erase(self);
  } else {
    try {
      if (status == ARES_SUCCESS && found) copy_addresses(*found, question.result);
      if (question.result.addresses.empty()) {
        question.result.error =
            error_of(status == ARES_SUCCESS ? ARES_ENODATA : status, question.name);
      } else if (question.asking && question.result.ttl.count() == 0) {
        question.result.ttl = kTtlOfOthers;  // nobody was asked: it stands in /etc/hosts
      }
    } catch (const std::bad_alloc&) {
      question.result.addresses.clear();
      question.result.error = Errc::out_of_memory;
    }
    state.answered.splice(state.answered.end(), from, self);
  }
  if (found) ::ares_freeaddrinfo(found);
}

void Resolver::State::tell(std::list<Call>& calls, const Resolved& result) {
  while (!calls.empty()) {
    std::list<Call> one;
    one.splice(one.begin(), calls, calls.begin());
    if (!one.front().refused) {
      std::lock_guard lock(mutex);
      --pending;
    }
    Resolved copy;
    try {
      copy = result;
    } catch (const std::bad_alloc&) {
      copy = Resolved{};
      copy.error = Errc::out_of_memory;
    }
    one.front().done(std::move(copy));
  }
}

// All of them have asked for the same name.
void Resolver::State::tell_error(std::list<Call>& calls, int status) {
  Resolved result;
  try {
    result.error = error_of(status, calls.front().name);
  } catch (const std::bad_alloc&) {
    result.error = Errc::out_of_memory;
  }
  tell(calls, result);
}

void Resolver::State::tell_answered() {
  while (!answered.empty()) {
    Questions one;
    one.splice(one.begin(), answered, answered.begin());
    tell(one.front().waiting, one.front().result);
  }
}

// Search domains may each take their time; who waits is told at the deadline all the same.
void Resolver::State::give_up_late() {
  const Clock::time_point now = Clock::now();
  while (!under_way.empty() && under_way.front().deadline <= now) {
    late.splice(late.end(), under_way, under_way.begin());
    Question& question = late.back();
    question.given_up = true;
    std::list<Call> calls;
    calls.swap(question.waiting);
    tell_error(calls, ARES_ETIMEOUT);
  }
}

void Resolver::State::wait() {
  timeval longest{}, shortest{};
  timeval* most = nullptr;
  if (!under_way.empty()) {
    const auto left = std::chrono::ceil<milliseconds>(under_way.front().deadline - Clock::now());
    const milliseconds::rep ms = std::max<milliseconds::rep>(left.count(), 0);
    longest.tv_sec = time_t(ms / 1000);
    longest.tv_usec = suseconds_t(ms % 1000 * 1000);
    most = &longest;
  }
  int ms = -1;
  if (const timeval* limit = ::ares_timeout(channel, most, &shortest)) {
    constexpr milliseconds::rep kDay = 86'400'000;
    ms = int(std::min<milliseconds::rep>(
        milliseconds::rep(limit->tv_sec) * 1000 + (limit->tv_usec + 999) / 1000, kDay));
  }
  if (::poll(polled.data(), polled.size(), ms) > 0) {
    std::uint64_t count = 0;
    if (polled[0].revents != 0) {
      [[maybe_unused]] const ssize_t n = ::read(wake_fd, &count, sizeof count);
    }
    // c-ares adds and removes sockets meanwhile; one that is missed is found ready again.
    for (std::size_t i = 1; i < polled.size(); ++i) {
      const int events = std::exchange(polled[i].revents, short(0));
      if (events == 0) continue;
      const int fd = polled[i].fd;
      ::ares_process_fd(channel, events & ~POLLOUT ? fd : ARES_SOCKET_BAD,
                        events & ~POLLIN ? fd : ARES_SOCKET_BAD);
    }
  }
  ::ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what is due by time
}

void Resolver::State::end() {
  ::ares_destroy(std::exchange(channel, nullptr));  // answers all that is under way
  tell_answered();
  while (true) {
    std::list<Call> calls;
    {
      std::lock_guard lock(mutex);
      calls.swap(incoming);
    }
    if (calls.empty()) return;
    while (!calls.empty()) {
      std::list<Call> one;
      one.splice(one.begin(), calls, calls.begin());
      tell_error(one, ARES_EDESTRUCTION);
    }
  }
}

// Runs inside c-ares: throws nothing.
void Resolver::State::on_socket(void* to, ares_socket_t fd, int readable, int writable) {
  std::vector<pollfd>& polled = static_cast<State*>(to)->polled;
  auto at = std::find_if(polled.begin() + 1, polled.end(),
                         [fd](const pollfd& one) { return one.fd == fd; });
  const auto events = short((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
  if (events == 0) {
    if (at != polled.end()) polled.erase(at);
  } else if (at != polled.end()) {
    at->events = events;
  } else {
    try {
      polled.push_back({fd, events, 0});
    } catch (const std::bad_alloc&) {
      // Nobody hears the server then, and its questions time out.
    }
  }
}

// --- the door ------------------------------------------------------------------------------------

Result<std::unique_ptr<Resolver>> Resolver::create(const std::vector<std::string>& servers,
                                                   milliseconds timeout) {
  if (timeout.count() <= 0 || timeout > std::chrono::hours(1)) {
    return Error(Errc::bad_setting, "the DNS timeout must be from 1 ms to 1 hour");
  }
  std::vector<DnsServer> parsed;
  for (const std::string& text : servers) {
    auto server = parse_dns_server(text);
    if (!server) {
      return Error(Errc::bad_setting, "DNS server " + quoted(text) +
                                          ": must be an IP address, or one with a port, as in "
                                          "127.0.0.1:53 or [::1]:53");
    }
    parsed.push_back(*server);
  }
  auto state = std::make_unique<State>();
  state->timeout = timeout;
  if (Error error = state->open(parsed)) return error;
  return std::unique_ptr<Resolver>(new Resolver(std::move(state)));
}

Resolver::Resolver(std::unique_ptr<State> state) : state_(std::move(state)) {}

Resolver::~Resolver() {
  if (!state_->thread.joinable()) return;
  SLUICE_CHECK(state_->thread.get_id() != std::this_thread::get_id());
  {
    std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->wake();
  state_->thread.join();
}

void Resolver::resolve(const std::string& name, std::function<void(Resolved)> done) {
  std::list<State::Call> one;
  one.push_back({name, std::move(done)});
  {
    std::unique_lock lock(state_->mutex);
    if (!state_->thread.joinable()) {
      try {
        state_->start();
      } catch (const std::system_error& failure) {
        lock.unlock();
        Resolved result;
        result.error = {Errc::unavailable, quoted(name) + ": no thread: " + failure.what()};
        one.front().done(std::move(result));
        return;
      }
    }
    if (state_->pending < kMostPending) {
      ++state_->pending;
    } else {
      one.front().refused = true;
    }
    const bool first = state_->incoming.empty();
    state_->incoming.splice(state_->incoming.end(), one);
    // With the lock held: once the answer is out, the resolver may be gone.
    if (first) state_->wake();
  }
}

}  // namespace sluice::io

// tests/support/fake_dns.hpp - a DNS server on 127.0.0.1 that answers from a table, or misbehaves.
//
// Over UDP, and over TCP on the same port. Layer: tests. Thread: one of its own; what is public may
// be called from any.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test {

// A message as it goes over the wire.
class DnsMessage {
 public:
  static constexpr std::uint16_t kA = 1, kCname = 5, kAaaa = 28;

  static std::string number(std::uint32_t value, int bytes) {
    std::string text;
    while (bytes-- > 0) text += char(value >> (8 * bytes) & 0xFF);
    return text;
  }
  static std::string name(const std::string& dotted) {
    std::string text;
    for (std::size_t at = 0; at < dotted.size();) {
      const std::size_t end = std::min(dotted.find('.', at), dotted.size());
      text += char(end - at) + dotted.substr(at, end - at);
      at = end + 1;
    }
    return text + '\0';
  }
};

// One record of the table. Its type is what its text looks like: "10.0.0.1", "fd00::1", or a name.
struct DnsRecord {
  std::string text;
  std::uint32_t ttl = 300;
  std::string owner = {};  // empty: the name that was asked for

  std::pair<std::uint16_t, std::string> wire() const {
    std::array<char, 16> bytes{};
    if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
      return {DnsMessage::kA, std::string(bytes.data(), 4)};
    }
    if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
      return {DnsMessage::kAaaa, std::string(bytes.data(), 16)};
    }
    return {DnsMessage::kCname, DnsMessage::name(text)};
  }
};

// What the server does about one name.
struct DnsEntry {
  enum class Way {
    answer,
    silence,
    silence_about_ip6,  // answers A alone
    hold,               // answers after release()
    no_message,         // 5 bytes that are none
    broken,             // the right id and question, and a record that ends too early
    first_other_id,     // a false answer with another id, then the right one
    first_other_question,
    first_empty,  // an empty datagram, then the right answer
    truncated,    // over UDP: come again over TCP
  };
  std::vector<DnsRecord> records = {};
  int code = 0;  // 2: the server failed, 3: no such name, 5: refused
  Way way = Way::answer;
};

class FakeDns {
 public:
  static constexpr int kServerFailed = 2, kNoSuchName = 3, kRefused = 5;

  // What is not in `table` does not exist.
  explicit FakeDns(std::map<std::string, DnsEntry> table) : table_(std::move(table)) {
    // The same number for both: another program may have the one that UDP got.
    for (int tries = 0; !open() && tries < 100; ++tries) close_all();
    if (tcp_ < 0) std::abort();
    thread_ = std::thread([this] { run(); });
  }
  ~FakeDns() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake();
    thread_.join();
    close_all();
  }
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // How often it was asked, for any type, over UDP and TCP.
  int asked() const {
    std::lock_guard lock(mutex_);
    int sum = 0;
    for (const auto& [question, times] : asked_) sum += times;
    return sum;
  }
  int asked(const std::string& name, std::uint16_t type) const {
    std::lock_guard lock(mutex_);
    const auto at = asked_.find({name, type});
    return at == asked_.end() ? 0 : at->second;
  }
  int asked_over_tcp() const {
    std::lock_guard lock(mutex_);
    return asked_over_tcp_;
  }
  // Waits until it was asked for both addresses of `name`.
  void await(const std::string& name) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return asked_.contains({name, DnsMessage::kA}) && asked_.contains({name, DnsMessage::kAaaa});
    });
  }
  // Answers what was held, and holds nothing from now on.
  void release() {
    {
      std::lock_guard lock(mutex_);
      released_ = true;
    }
    wake();
  }

 private:
  struct Held {
    std::string message;
    sockaddr_in to;
  };

  bool open() {
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(udp_, address, size) != 0 || ::getsockname(udp_, address, &size) != 0) return false;
    port_ = ntohs(at.sin_port);
    return ::bind(tcp_, address, size) == 0 && ::listen(tcp_, 8) == 0;
  }
  void close_all() {
    for (int* fd : {&wake_, &udp_, &tcp_}) {
      if (*fd >= 0) ::close(*fd);
      *fd = -1;
    }
  }
  void wake() {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) std::abort();
  }

  void run() {
    while (true) {
      pollfd ready[] = {{wake_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
      ::poll(ready, 3, -1);
      if (ready[0].revents != 0) {
        std::uint64_t count = 0;
        if (::read(wake_, &count, sizeof count) < 0) std::abort();
      }
      std::vector<Held> held;
      {
        std::lock_guard lock(mutex_);
        if (ending_) return;
        if (released_) held.swap(held_);
      }
      for (const Held& one : held) send(one.message, one.to);
      if (ready[1].revents != 0) on_datagram();
      if (ready[2].revents != 0) on_connection();
    }
  }

  void send(const std::string& message, const sockaddr_in& to) {
    ::sendto(udp_, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&to),
             sizeof to);
  }

  struct Question {
    std::string head;  // id
    std::string text;  // as it came: name, type, class
    std::string name;
    std::uint16_t type = 0;
  };
  Question read(const std::string& message) {
    Question question{message.substr(0, 2), {}, {}, 0};
    std::size_t at = 12;
    while (at < message.size() && message[at] != 0) {
      const auto length = std::size_t(std::uint8_t(message[at]));
      if (!question.name.empty()) question.name += '.';
      question.name += message.substr(at + 1, length);
      at += 1 + length;
    }
    question.text = message.substr(12, at + 5 - 12);
    question.type =
        std::uint16_t(std::uint8_t(message[at + 1]) << 8 | std::uint8_t(message[at + 2]));
    return question;
  }
  DnsEntry note(const Question& question, bool over_tcp) {
    std::lock_guard lock(mutex_);
    ++asked_[{question.name, question.type}];
    if (over_tcp) ++asked_over_tcp_;
    changed_.notify_all();
    const auto at = table_.find(question.name);
    DnsEntry entry = at == table_.end() ? DnsEntry{{}, kNoSuchName} : at->second;
    if (released_ && entry.way == DnsEntry::Way::hold) entry.way = DnsEntry::Way::answer;
    return entry;
  }

  static std::string message(const Question& question, const DnsEntry& entry, bool cut = false) {
    std::string records;
    std::uint32_t count = 0;
    for (const DnsRecord& record : entry.records) {
      const auto [type, data] = record.wire();
      if (cut || (type != question.type && type != DnsMessage::kCname)) continue;
      records += record.owner.empty() ? "\xC0\x0C" : DnsMessage::name(record.owner);
      records += DnsMessage::number(type, 2) + DnsMessage::number(1, 2) +
                 DnsMessage::number(record.ttl, 4) +
                 DnsMessage::number(std::uint32_t(data.size()), 2) + data;
      ++count;
    }
    const std::uint32_t flags = 0x8180u | (cut ? 0x0200u : 0u) | std::uint32_t(entry.code);
    return question.head + DnsMessage::number(flags, 2) + DnsMessage::number(1, 2) +
           DnsMessage::number(count, 2) + DnsMessage::number(0, 4) + question.text + records;
  }

  void on_datagram() {
    std::array<char, 1500> bytes;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t n =
        ::recvfrom(udp_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 17) return;
    const Question question = read(std::string(bytes.data(), std::size_t(n)));
    const DnsEntry entry = note(question, false);
    const std::string right = message(question, entry);
    Question other = question;
    const DnsEntry lie{{{"10.6.6.6"}, {"fd00::666"}}};
    switch (entry.way) {
      case DnsEntry::Way::silence:
        return;
      case DnsEntry::Way::silence_about_ip6:
        if (question.type == DnsMessage::kAaaa) return;
        break;
      case DnsEntry::Way::hold: {
        std::lock_guard lock(mutex_);
        held_.push_back({right, from});
        return;
      }
      case DnsEntry::Way::no_message:
        return send("\x01\x02\x03\x04\x05", from);
      case DnsEntry::Way::broken:
        return send(right.substr(0, right.size() - 3), from);
      case DnsEntry::Way::first_other_id:
        other.head[0] = char(other.head[0] ^ 0x55);
        send(message(other, lie), from);
        break;
      case DnsEntry::Way::first_other_question:
        other.text[1] = 'z';
        send(message(other, lie), from);
        break;
      case DnsEntry::Way::first_empty:
        send("", from);
        break;
      case DnsEntry::Way::truncated:
        return send(message(question, entry, true), from);
      case DnsEntry::Way::answer:
        break;
    }
    send(right, from);
  }

  // Answers until the client closes.
  void on_connection() {
    const int fd = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::string in;
    std::array<char, 1500> bytes;
    ssize_t n;
    while ((n = ::recv(fd, bytes.data(), bytes.size(), 0)) > 0) {
      in.append(bytes.data(), std::size_t(n));
      while (in.size() > 2) {
        const auto length =
            std::size_t(std::uint8_t(in[0])) << 8 | std::size_t(std::uint8_t(in[1]));
        if (in.size() < 2 + length) break;
        const Question question = read(in.substr(2, length));
        in.erase(0, 2 + length);
        const std::string whole = message(question, note(question, true));
        const std::string out = DnsMessage::number(std::uint32_t(whole.size()), 2) + whole;
        if (::send(fd, out.data(), out.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
    ::close(fd);
  }

  const std::map<std::string, DnsEntry> table_;
  int wake_ = -1, udp_ = -1, tcp_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::map<std::pair<std::string, std::uint16_t>, int> asked_;
  int asked_over_tcp_ = 0;
  std::vector<Held> held_;
  bool released_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace sluice::test

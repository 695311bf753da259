// tests/io/resolver_test.cpp - names to addresses: what servers answer, what they do wrong, who
// asks at the same time, limits, and the end.
//
// Layer: tests.
#include "io/resolver.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_dns.hpp"
#include "support/skip.hpp"

namespace sluice::test {
namespace {

// A name of /etc/hosts besides localhost, and its address.
std::string name_in_hosts(std::string& address) {
  std::ifstream file("/etc/hosts");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    in_addr ip4;
    for (std::string name;
         words >> address && ::inet_pton(AF_INET, address.c_str(), &ip4) == 1 && words >> name;) {
      if (name.find("localhost") == std::string::npos) return name;
    }
  }
  return {};
}

std::string missing_name_in_hosts() {
  std::string address;
  return name_in_hosts(address).empty() ? "a name in /etc/hosts besides localhost" : "";
}

}  // namespace
}  // namespace sluice::test

namespace sluice::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::DnsEntry;
using test::DnsMessage;
using test::FakeDns;
using Way = DnsEntry::Way;
using Texts = std::vector<std::string>;

std::unique_ptr<Resolver> make(const Texts& servers, milliseconds timeout = seconds(30)) {
  auto resolver = Resolver::create(servers, timeout);
  EXPECT_TRUE(resolver) << resolver.error().message();
  return resolver ? std::move(resolver).value() : nullptr;
}

// One answer that somebody waits for.
class Answer {
 public:
  std::function<void(Resolved)> done() {
    return [this](Resolved result) { promise_.set_value(std::move(result)); };
  }
  Resolved get() { return future_.get(); }
  bool is_there() const { return future_.wait_for(seconds(0)) == std::future_status::ready; }

 private:
  std::promise<Resolved> promise_;
  std::future<Resolved> future_ = promise_.get_future();
};

Resolved ask(Resolver& resolver, const std::string& name) {
  Answer answer;
  resolver.resolve(name, answer.done());
  return answer.get();
}

std::string text_of(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const bool ip4 = address.family == IpAddress::Family::ip4;
  return ::inet_ntop(ip4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
}

// In alphabetical order: the order of RFC 6724 depends on the machine's routes.
Texts texts(const Resolved& result) {
  Texts found;
  for (const IpAddress& address : result.addresses) found.push_back(text_of(address));
  std::sort(found.begin(), found.end());
  return found;
}

void expect_error(const Resolved& result, Errc code, const std::string& name) {
  EXPECT_EQ(result.error.code, code) << result.error.message();
  EXPECT_NE(result.error.detail.find(name), std::string::npos) << result.error.message();
  EXPECT_TRUE(result.addresses.empty());
}

// --- what servers answer -------------------------------------------------------------------------

TEST(Resolver, AnswersWithAllAddressesAndTheSmallestTtl) {
  FakeDns dns({{"two.example", {{{"10.0.0.1", 300}, {"10.0.0.2", 120}}}},
               {"six.example", {{{"fd00::1", 77}}}},
               {"both.example", {{{"10.0.0.3", 50}, {"fd00::3", 40}}}}});
  auto resolver = make({dns.address()});
  Resolved two = ask(*resolver, "two.example");
  EXPECT_FALSE(two.error) << two.error.message();
  EXPECT_EQ(texts(two), (Texts{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(two.ttl, seconds(120));
  Resolved six = ask(*resolver, "six.example");
  EXPECT_EQ(texts(six), Texts{"fd00::1"});
  EXPECT_EQ(six.ttl, seconds(77));
  Resolved both = ask(*resolver, "both.example");
  EXPECT_EQ(texts(both), (Texts{"10.0.0.3", "fd00::3"}));
  EXPECT_EQ(both.ttl, seconds(40));
}

TEST(Resolver, FollowsANameToAnotherAndCountsItsTtl) {
  FakeDns dns({{"www.example", {{{"host.example", 30}, {"10.0.0.4", 300, "host.example"}}}},
               {"nowhere.example", {{{"gone.example", 30}}}}});
  auto resolver = make({dns.address()});
  Resolved result = ask(*resolver, "www.example");
  EXPECT_EQ(texts(result), Texts{"10.0.0.4"});
  EXPECT_EQ(result.ttl, seconds(30));
  expect_error(ask(*resolver, "nowhere.example"), Errc::not_found, "nowhere.example");
}

TEST(Resolver, ATtlOfNothingIsNothing) {
  FakeDns dns(
      {{"once.example", {{{"10.0.0.1", 0}}}}, {"huge.example", {{{"10.0.0.1", 1u << 31}}}}});
  auto resolver = make({dns.address()});
  EXPECT_EQ(ask(*resolver, "once.example").ttl, seconds(0));
  EXPECT_EQ(ask(*resolver, "huge.example").ttl, seconds(0));
}

TEST(Resolver, SaysWhyThereIsNoAddress) {
  FakeDns dns({{"empty.example", {}},
               {"failing.example", {{}, FakeDns::kServerFailed}},
               {"refused.example", {{}, FakeDns::kRefused}}});
  auto resolver = make({dns.address()});
  expect_error(ask(*resolver, "missing.example"), Errc::not_found, "missing.example");
  expect_error(ask(*resolver, "empty.example"), Errc::not_found, "empty.example");
  expect_error(ask(*resolver, "failing.example"), Errc::io_failed, "failing.example");
  expect_error(ask(*resolver, "refused.example"), Errc::io_failed, "refused.example");
}

TEST(Resolver, AsksForWholeNamesOnly) {
  FakeDns dns({{"short", {{{"10.0.0.1"}}}}});
  ::setenv("LOCALDOMAIN", "search.example", 1);  // as if it stood in /etc/resolv.conf
  auto resolver = make({dns.address()});
  ::unsetenv("LOCALDOMAIN");
  EXPECT_EQ(texts(ask(*resolver, "short")), Texts{"10.0.0.1"});
  EXPECT_EQ(texts(ask(*resolver, "short.")), Texts{"10.0.0.1"});
  const int asked = dns.asked();
  expect_error(ask(*resolver, "other"), Errc::not_found, "other");
  EXPECT_EQ(dns.asked(), asked + 2);  // A and AAAA, and no search domain behind it
}

TEST(Resolver, GetsALongAnswerOverTcp) {
  DnsEntry entry{.way = Way::truncated};
  for (int i = 1; i <= 100; ++i) entry.records.push_back({"10.0.1." + std::to_string(i)});
  FakeDns dns({{"many.example", entry}});
  auto resolver = make({dns.address()});
  Resolved result = ask(*resolver, "many.example");
  EXPECT_EQ(result.addresses.size(), 100u) << result.error.message();
  EXPECT_GE(dns.asked_over_tcp(), 1);
}

// --- what servers do wrong -----------------------------------------------------------------------

TEST(Resolver, GivesUpOnASilentServer) {
  FakeDns dns(
      {{"silent.example", {.way = Way::silence}}, {"noise.example", {.way = Way::no_message}}});
  auto resolver = make({dns.address()}, milliseconds(200));
  expect_error(ask(*resolver, "silent.example"), Errc::timed_out, "silent.example");
  EXPECT_GE(dns.asked("silent.example", DnsMessage::kA), 2);  // a datagram may have been lost
  expect_error(ask(*resolver, "noise.example"), Errc::timed_out, "noise.example");
}

TEST(Resolver, TheDeadlineHoldsWhateverTheServersDo) {
  // A hundred servers, of which c-ares gives each no less than a millisecond, three times: it still
  // asks when all is over.
  FakeDns dns({{"silent.example", {.way = Way::silence}}});
  auto resolver = make(Texts(100, dns.address()), milliseconds(1));
  for (int i = 0; i < 3; ++i) {
    expect_error(ask(*resolver, "silent.example"), Errc::timed_out, "silent.example");
  }
  EXPECT_LT(dns.asked("silent.example", DnsMessage::kA), 300);
}

TEST(Resolver, KeepsWhatCameWhenTheOtherFamilyIsNeverAnswered) {
  FakeDns dns({{"half.example", {.records = {{"10.0.0.5"}}, .way = Way::silence_about_ip6}}});
  auto resolver = make({dns.address()}, seconds(2));
  Resolved result = ask(*resolver, "half.example");
  EXPECT_FALSE(result.error) << result.error.message();
  EXPECT_EQ(texts(result), Texts{"10.0.0.5"});
}

TEST(Resolver, TakesNoAnswerToAnotherQuestion) {
  FakeDns dns({{"id.example", {.records = {{"10.0.0.6"}}, .way = Way::first_other_id}},
               {"name.example", {.records = {{"10.0.0.7"}}, .way = Way::first_other_question}},
               {"void.example", {.records = {{"10.0.0.8"}}, .way = Way::first_empty}}});
  auto resolver = make({dns.address()});
  EXPECT_EQ(texts(ask(*resolver, "id.example")), Texts{"10.0.0.6"});
  EXPECT_EQ(texts(ask(*resolver, "name.example")), Texts{"10.0.0.7"});
  EXPECT_EQ(texts(ask(*resolver, "void.example")), Texts{"10.0.0.8"});
}

TEST(Resolver, RefusesABrokenAnswer) {
  FakeDns dns({{"broken.example", {.records = {{"10.0.0.9"}, {"fd00::9"}}, .way = Way::broken}}});
  auto resolver = make({dns.address()});
  expect_error(ask(*resolver, "broken.example"), Errc::io_failed, "broken.example");
}

TEST(Resolver, AsksTheNextServer) {
  FakeDns bad({{"a.example", {{}, FakeDns::kServerFailed}}});
  FakeDns good({{"a.example", {{{"10.0.0.10"}}}}});
  auto resolver = make({bad.address(), good.address()});
  EXPECT_EQ(texts(ask(*resolver, "a.example")), Texts{"10.0.0.10"});
  EXPECT_GE(bad.asked(), 1);
}

TEST(Resolver, NobodyAtTheServersPort) {
  const std::string nobody = FakeDns({}).address();
  auto resolver = make({nobody}, milliseconds(300));
  Resolved result = ask(*resolver, "a.example");
  // The kernel says it of one of two datagrams; c-ares then waits for the other.
  EXPECT_TRUE(result.error.code == Errc::io_failed || result.error.code == Errc::timed_out)
      << result.error.message();
  FakeDns good({{"a.example", {{{"10.0.0.14"}}}}});
  resolver = make({nobody, good.address()}, seconds(3));
  EXPECT_EQ(texts(ask(*resolver, "a.example")), Texts{"10.0.0.14"});
}

// --- what needs no server ------------------------------------------------------------------------

TEST(Resolver, LocalhostAndAddressesNeedNoServer) {
  FakeDns dns({});
  auto resolver = make({dns.address()});
  for (const char* name : {"localhost", "LocalHost", "localhost.", "web.localhost"}) {
    Resolved result = ask(*resolver, name);
    const Texts found = texts(result);
    EXPECT_FALSE(result.error) << name;
    EXPECT_NE(std::find(found.begin(), found.end(), "127.0.0.1"), found.end()) << name;
    for (const std::string& text : found) EXPECT_TRUE(text == "127.0.0.1" || text == "::1") << text;
    EXPECT_EQ(result.ttl, Resolver::kTtlOfOthers);
  }
  const std::map<std::string, std::string> literals{
      {"10.1.2.3", "10.1.2.3"}, {"::1", "::1"}, {"[FD00::A]", "fd00::a"}, {"0.0.0.0", "0.0.0.0"}};
  for (const auto& [name, address] : literals) {
    Resolved result = ask(*resolver, name);
    EXPECT_EQ(texts(result), Texts{address}) << name;
    EXPECT_EQ(result.ttl, Resolver::kTtlOfOthers);
  }
  EXPECT_EQ(dns.asked(), 0);
}

TEST(Resolver, RefusesWhatIsNoName) {
  FakeDns dns({});
  auto resolver = make({dns.address()});
  const std::string label(63, 'a');
  const Texts odd = {"",
                     ".",
                     "a..b",
                     ".a",
                     "a.example..",
                     "-a.example",
                     "a-.example",
                     "a b",
                     "a/b",
                     "a:80",
                     "caf\xC3\xA9.example",
                     "a.example\n",
                     "10.0.0.256",
                     "127.1",
                     "2130706433",
                     "[10.0.0.1]",
                     "[::1",
                     "fe80::1%lo",
                     std::string("10.0.0.1\0.example", 17),
                     label + "a.example",
                     label + "." + label + "." + label + "." + label.substr(0, 62),
                     std::string(100'000, 'a')};
  for (const std::string& name : odd) expect_error(ask(*resolver, name), Errc::bad_host, "\"");
  EXPECT_EQ(dns.asked(), 0);
  // Labels of 63 and names of 253 letters are names; so is what containers are called.
  const std::string longest = label + "." + label + "." + label + "." + label.substr(0, 61);
  for (const std::string& name : {longest, longest + ".", std::string("my_service"), label}) {
    expect_error(ask(*resolver, name), Errc::not_found, name);
  }
}

TEST(Resolver, TheSystemsFileOfHosts) {
  SKIP_WITHOUT(name_in_hosts);
  std::string address;
  const std::string name = test::name_in_hosts(address);
  auto resolver = make({});
  Resolved result = ask(*resolver, name);
  const Texts found = texts(result);
  EXPECT_NE(std::find(found.begin(), found.end(), address), found.end()) << result.error.message();
  EXPECT_EQ(result.ttl, Resolver::kTtlOfOthers);
  // With servers of one's own only they are asked.
  FakeDns dns({});
  auto other = make({dns.address()});
  expect_error(ask(*other, name), Errc::not_found, name);
}

// --- who asks at the same time -------------------------------------------------------------------

TEST(Resolver, ANameThatManyAskForIsAskedForOnce) {
  FakeDns dns({{"held.example", {.records = {{"10.0.0.11"}}, .way = Way::hold}}});
  auto resolver = make({dns.address()});
  std::vector<Answer> answers(100);
  resolver->resolve("held.example", answers[0].done());
  dns.await("held.example");
  for (std::size_t i = 1; i < answers.size(); ++i) {
    resolver->resolve(i % 2 ? "held.example" : "HELD.example", answers[i].done());
  }
  // In order: the others are waiting when this one is told.
  EXPECT_EQ(texts(ask(*resolver, "127.0.0.1")), Texts{"127.0.0.1"});
  EXPECT_FALSE(answers[0].is_there());
  dns.release();
  for (Answer& answer : answers) EXPECT_EQ(texts(answer.get()), Texts{"10.0.0.11"});
  EXPECT_EQ(dns.asked("held.example", DnsMessage::kA), 1);
  EXPECT_EQ(dns.asked("held.example", DnsMessage::kAaaa), 1);
  // Nothing is kept.
  EXPECT_EQ(texts(ask(*resolver, "held.example")), Texts{"10.0.0.11"});
  EXPECT_EQ(dns.asked("held.example", DnsMessage::kA), 2);
}

TEST(Resolver, ManyThreadsAskAndAllAreToldOnOneThread) {
  std::map<std::string, DnsEntry> table;
  for (int i = 0; i < 10; ++i) {
    table["n" + std::to_string(i)] = {{{"10.0.2." + std::to_string(i)}}};
  }
  FakeDns dns(table);
  auto resolver = make({dns.address()});
  std::mutex mutex;
  std::map<std::thread::id, int> tellers;
  std::promise<void> all;
  int left = 400;
  std::vector<std::thread> askers;
  askers.reserve(4);
  for (int t = 0; t < 4; ++t) {
    askers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const std::string number = std::to_string(i % 10);
        resolver->resolve("n" + number, [&, number](const Resolved& result) {
          EXPECT_EQ(texts(result), Texts{"10.0.2." + number}) << result.error.message();
          std::lock_guard lock(mutex);
          ++tellers[std::this_thread::get_id()];
          if (--left == 0) all.set_value();
        });
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  all.get_future().wait();
  resolver.reset();
  EXPECT_EQ(tellers.size(), 1u);
  EXPECT_FALSE(tellers.contains(std::this_thread::get_id()));
}

TEST(Resolver, WhoIsToldMayAskAgain) {
  FakeDns dns({{"a.example", {{{"10.0.0.12"}}}}});
  auto resolver = make({dns.address()});
  Answer answer;
  resolver->resolve("missing.example", [&](const Resolved& first) {
    EXPECT_EQ(first.error.code, Errc::not_found);
    resolver->resolve("a.example", answer.done());
  });
  EXPECT_EQ(texts(answer.get()), Texts{"10.0.0.12"});
}

// --- limits, and the end -------------------------------------------------------------------------

TEST(Resolver, RefusesTheOneThatIsTooMany) {
  FakeDns dns({{"held.example", {.records = {{"10.0.0.13"}}, .way = Way::hold}}});
  auto resolver = make({dns.address()});
  std::vector<Answer> answers(Resolver::kMostPending);
  for (Answer& answer : answers) resolver->resolve("held.example", answer.done());
  expect_error(ask(*resolver, "held.example"), Errc::unavailable, "held.example");
  expect_error(ask(*resolver, "127.0.0.1"), Errc::unavailable, "127.0.0.1");
  for (Answer& answer : answers) ASSERT_FALSE(answer.is_there());
  dns.await("held.example");
  dns.release();
  for (Answer& answer : answers) EXPECT_EQ(texts(answer.get()), Texts{"10.0.0.13"});
  EXPECT_EQ(texts(ask(*resolver, "held.example")), Texts{"10.0.0.13"});
}

TEST(Resolver, WhatCaresStillAsksForCountsToo) {
  // As in TheDeadlineHoldsWhateverTheServersDo: who waited has been told, and c-ares still asks.
  std::map<std::string, DnsEntry> table;
  for (std::size_t i = 0; i < Resolver::kMostPending; ++i) {
    table["n" + std::to_string(i)] = {.way = Way::silence};
  }
  FakeDns silent(table);
  Errc code = Errc::none;
  for (int round = 0; round < 20 && code != Errc::unavailable; ++round) {
    auto resolver = make(Texts(100, silent.address()), milliseconds(1));
    std::vector<Answer> answers(Resolver::kMostPending);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      resolver->resolve("n" + std::to_string(i), answers[i].done());
    }
    for (Answer& answer : answers) EXPECT_EQ(answer.get().error.code, Errc::timed_out);
    code = ask(*resolver, "n0").error.code;
  }
  EXPECT_EQ(code, Errc::unavailable);
}

TEST(Resolver, ItsEndCancelsWhatIsPending) {
  const DnsEntry silent{.way = Way::silence};
  FakeDns dns({{"a.example", silent}, {"b.example", silent}, {"late.example", silent}});
  auto resolver = make({dns.address()});
  std::vector<Answer> answers(4);
  Answer again;
  resolver->resolve("a.example", answers[0].done());
  resolver->resolve("a.example", answers[1].done());
  resolver->resolve("b.example", [&, raw = resolver.get()](Resolved result) {
    raw->resolve("c.example", again.done());
    answers[2].done()(std::move(result));
  });
  dns.await("a.example");
  dns.await("b.example");
  resolver->resolve("late.example", answers[3].done());
  resolver.reset();
  for (Answer& answer : answers) {
    ASSERT_TRUE(answer.is_there());
    EXPECT_EQ(answer.get().error.code, Errc::cancelled);
  }
  ASSERT_TRUE(again.is_there());
  EXPECT_EQ(again.get().error.code, Errc::cancelled);
}

TEST(Resolver, AsManyNamesAsMayWaitAreCancelledAtItsEnd) {
  FakeDns dns({{"held.example", {.way = Way::hold}}});
  std::vector<Answer> answers(Resolver::kMostPending);
  {
    auto resolver = make({dns.address()});
    for (std::size_t i = 0; i < answers.size(); ++i) {
      resolver->resolve(i == 0 ? "held.example" : "n" + std::to_string(i), answers[i].done());
    }
    dns.await("held.example");
  }
  for (Answer& answer : answers) ASSERT_TRUE(answer.is_there());
  EXPECT_EQ(answers[0].get().error.code, Errc::cancelled);
}

TEST(Resolver, EndsWithoutEverBeingAsked) {
  EXPECT_NE(make({"127.0.0.1"}), nullptr);
  EXPECT_NE(make({}), nullptr);
}

TEST(Resolver, RefusesSettingsThatMeanNothing) {
  for (const char* good : {"127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:53"}) {
    EXPECT_TRUE(Resolver::create({good})) << good;
  }
  for (const char* bad : {"", "dns.example", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                          "127.0.0.1:53x", "127.0.0.1:-1", "127.1", "[127.0.0.1]:53", "[::1",
                          "[::1]53", "::1:", "[]:53", "127.0.0.1,10.0.0.1"}) {
    auto resolver = Resolver::create({"127.0.0.1", bad});
    ASSERT_FALSE(resolver) << bad;
    EXPECT_EQ(resolver.error().code, Errc::bad_setting) << bad;
    EXPECT_NE(resolver.error().detail.find("\"" + std::string(bad) + "\""), std::string::npos);
  }
  EXPECT_EQ(Resolver::create({}, milliseconds(0)).error().code, Errc::bad_setting);
  EXPECT_EQ(Resolver::create({}, std::chrono::hours(2)).error().code, Errc::bad_setting);
}

}  // namespace
}  // namespace sluice::io

// tests/api/upload_cuts_test.cpp - uploads in two pieces, cut anywhere, and many at a time.
//
// Layer: tests.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/upload_harness.hpp"

namespace sluice::test {
namespace {

class UploadCuts : public Uploading {
 protected:
  using Clients = std::vector<std::unique_ptr<HttpClient>>;
  // Each file is synced: two hundred of them take a slow disk a while.
  void connect(Clients& clients, std::size_t count) const {
    while (clients.size() < count) {
      clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", 6 * kPatience));
    }
  }
  // Every element of the grammar: preamble, quoted and bare parameters, a field of its own, empty
  // parts, content that looks like a delimiter, padding, epilogue.
  static std::string form(std::string_view name) {
    const std::string file(name);
    return "preamble\r\n--B \t\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
           "--B\r\ncontent-disposition: form-data; name=f; filename=\"" +
           file +
           "\"\r\nContent-Type: text/plain\r\n\r\n\r\n--\r\n--A\r\n-\r\n--B\r\n"
           "Content-Disposition: form-data; name=e\r\n\r\n\r\n--B--\r\nepilogue";
  }
  static constexpr std::string_view kContent = "\r\n--\r\n--A\r\n-";
};

TEST_P(UploadCuts, AnywhereMeanTheSame) {
  Running running = start();
  const std::size_t cuts = form("000").size();
  const auto name = [](std::size_t cut) { return std::to_string(1000 + cut).substr(1); };
  Clients clients;
  connect(clients, cuts);
  std::vector<std::string> requests;
  std::uint64_t sent = 0;
  for (std::size_t cut = 0; cut < cuts; ++cut) {
    requests.push_back(request(form(name(cut))));
    const std::size_t head = requests[cut].size() - cuts;
    ASSERT_TRUE(clients[cut]->send(std::string_view(requests[cut]).substr(0, head + cut)));
    sent += head + cut;
  }
  ASSERT_TRUE(eventually([&] { return server.counters().bytes_received == sent; }));
  for (std::size_t cut = 0; cut < cuts; ++cut) {
    const std::string_view whole = requests[cut];
    ASSERT_TRUE(clients[cut]->send(whole.substr(whole.size() - cuts + cut)));
  }
  for (std::size_t cut = 0; cut < cuts; ++cut) {
    EXPECT_EQ(clients[cut]->read().body, "a=1;e=;f:" + name(cut) + ":" + name(cut) + ";") << cut;
    EXPECT_EQ(text_of(dir / name(cut)), kContent) << cut;
  }
  EXPECT_EQ(stored().size(), cuts);
}

// Of one that ends at a boundary of the grammar nothing stays.
TEST_P(UploadCuts, WithoutARestLeaveNothing) {
  Running running = start();
  const std::string whole = request(form("x"));
  const std::size_t size = form("x").size();
  Clients clients;
  connect(clients, size);
  std::uint64_t sent = 0;
  for (std::size_t cut = 0; cut < size; ++cut) {
    const std::string_view piece = std::string_view(whole).substr(0, whole.size() - size + cut);
    ASSERT_TRUE(clients[cut]->send(piece));
    sent += piece.size();
  }
  ASSERT_TRUE(eventually([&] { return server.counters().bytes_received == sent; }));
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_TRUE(eventually([&] { return stored().empty(); }));
  EXPECT_EQ(told.size(), 0u);
}

TEST_P(UploadCuts, TwoHundredAtOnceAreAllStored) {
  constexpr std::size_t kClients = 200, kPieces = 5;
  Running running = start();
  Clients clients;
  connect(clients, kClients);
  std::vector<std::string> contents, requests;
  for (std::size_t i = 0; i < kClients; ++i) {
    contents.push_back(pattern(100'000 + i * 500, unsigned(i)));
    requests.push_back(request(part("name=f; filename=" + std::to_string(i), contents.back()) +
                               part("name=a", "1") + "--B--"));
  }
  for (std::size_t piece = 0; piece < kPieces; ++piece) {
    for (std::size_t i = 0; i < kClients; ++i) {
      const std::string_view whole = requests[i];
      const std::size_t from = whole.size() * piece / kPieces;
      ASSERT_TRUE(
          clients[i]->send(whole.substr(from, whole.size() * (piece + 1) / kPieces - from)));
    }
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    const std::string name = std::to_string(i);
    EXPECT_EQ(clients[i]->read().body, "a=1;f:" + name + ":" + name + ";");
    EXPECT_TRUE(text_of(dir / name) == contents[i]) << i;
  }
  EXPECT_EQ(stored().size(), kClients);
}

INSTANTIATE_TEST_SUITE_P(Api, UploadCuts, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test

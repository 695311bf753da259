// bench/api_keys_bench.cpp - what it costs to validate one of many API keys, and what changes cost.
//
// Usage: api_keys_bench [KEYS], 10,000 where nothing is said, in a SQLite store in a temporary
// folder. CPU time is that of the thread, kernel included; keys are asked for in random order.
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "service/api_keys/manager.hpp"
#include "service/api_keys/sqlite_store.hpp"

using namespace sluice;
using namespace sluice::api_keys;

namespace {

double cpu_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) * 1e9 + double(time.tv_nsec);
}

double wall_now() {
  return std::chrono::duration<double, std::nano>(base::read_clock().time_since_epoch()).count();
}

bool at_once(const std::function<void()>& task) {
  task();
  return true;
}

std::unique_ptr<KeyManager> manager_of(const std::string& file) {
  auto store = SqliteStore::open(file);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message().c_str());
    std::exit(1);
  }
  return std::make_unique<KeyManager>(std::move(*store), at_once,
                                      KeySettings{.check_interval = std::chrono::milliseconds(0),
                                                  .stale_after = std::chrono::hours(1)});
}

core::Endpoint peer() {
  core::Endpoint out;
  out.family = core::Endpoint::Family::ip4;
  out.address = {192, 0, 2, 7};
  return out;
}

// CPU nanoseconds for one validation of these texts, `shards` threads at a time.
void validate(const char* what, const KeyManager& keys, const std::vector<std::string>& texts,
              int shards) {
  std::vector<double> spent(static_cast<std::size_t>(shards));
  std::vector<std::size_t> found(spent.size());
  std::vector<std::thread> threads;
  const Moment now = read_clocks();
  const std::size_t rounds = std::max<std::size_t>(1, 200'000 / texts.size());
  for (std::size_t i = 0; i < spent.size(); ++i) {
    threads.emplace_back([&, i] {
      KeyReader reader(keys);
      const core::Endpoint from = peer();
      for (const std::string& text : texts) (void)reader.validate(text, from, "read", now);
      const double start = cpu_now();
      for (std::size_t round = 0; round < rounds; ++round) {
        for (const std::string& text : texts) {
          found[i] += reader.validate(text, from, "read", now).code == Errc::none;
        }
      }
      spent[i] = (cpu_now() - start) / double(rounds * texts.size());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < spent.size(); ++i) {
    std::printf("%s, %d shards: %.0f ns CPU for a validation, %zu of %zu good\n", what, shards,
                spent[i], found[i], rounds * texts.size());
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t many = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 10'000;
  std::string folder = (std::filesystem::temp_directory_path() / "api-keys-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  const std::string file = folder + "/keys";

  std::vector<std::string> texts;
  std::string last;
  {
    const auto keys = manager_of(file);
    keys->open(read_clocks(), [](const Result<void>&) {});
    const double start = wall_now(), cpu = cpu_now();
    for (std::size_t i = 0; i < many; ++i) {
      KeyRequest request{.owner = "owner" + std::to_string(i), .scopes = {"read", "orders:*"}};
      request.networks = {*Network::parse("192.0.2.0/24")};
      if (i % 2 == 0) request.rate = {kMostRateRequests, std::chrono::seconds(1)};
      keys->issue(std::move(request), "bench", read_clocks(), [&](Result<IssuedKey> issued) {
        if (!issued) std::fprintf(stderr, "%s\n", issued.error().message().c_str());
        if (!issued) std::exit(1);
        texts.emplace_back(issued->text.view());
        last = issued->record.id;
      });
    }
    std::printf("%zu keys: %.0f us to issue one, on the disk (%.0f us CPU)\n", many,
                (wall_now() - start) / 1e3 / double(many), (cpu_now() - cpu) / 1e3 / double(many));
  }

  const auto keys = manager_of(file);
  double start = cpu_now();
  keys->open(read_clocks(), [](const Result<void>&) {});
  std::printf("%zu keys: %.1f ms CPU to read them all\n", keys->size(), (cpu_now() - start) / 1e6);

  std::shuffle(texts.begin(), texts.end(), std::mt19937(1));
  std::vector<std::string> unknown, mistyped = texts;
  for (std::size_t i = 0; i < many; ++i) unknown.emplace_back(new_key(kPrefix).view());
  for (std::string& text : mistyped) text[10] = text[10] == '0' ? '1' : '0';
  for (const int shards : {1, 2}) {
    validate("known", *keys, texts, shards);
    validate("unknown", *keys, unknown, shards);
    validate("mistyped", *keys, mistyped, shards);
  }

  start = cpu_now();
  constexpr int kChecks = 10'000;
  for (int i = 0; i < kChecks; ++i) keys->check(read_clocks());
  std::printf("%.1f us CPU for a check when nothing has changed\n",
              (cpu_now() - start) / 1e3 / kChecks);
  const auto other = manager_of(file);
  other->open(read_clocks(), [](const Result<void>&) {});
  other->revoke(last, "bench", read_clocks(), [](const Result<KeyRecord>&) {});
  start = cpu_now();
  keys->check(read_clocks());
  std::printf("%.1f ms CPU for a check when another process has changed something\n",
              (cpu_now() - start) / 1e6);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}

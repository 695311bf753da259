// bench/url_tree_bench.cpp - what one look-up among many URL prefixes costs, and one change.
//
// Usage: url_tree_bench [PREFIXES], 10,000 where nothing is said. Names, domains, addresses and
// paths in equal parts; requests in random order.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/url_namespace.hpp"
#include "core/url_tree.hpp"

using namespace sluice;
using namespace sluice::core;

namespace {

using Clock = std::chrono::steady_clock;

double nanoseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::nano>(Clock::now() - since).count();
}

struct Texts {
  std::string host, path;
  Endpoint local;
};

std::string dotted(std::size_t i) {
  return "10." + std::to_string(i >> 16 & 255) + "." + std::to_string(i >> 8 & 255) + "." +
         std::to_string(i & 255);
}

std::string prefix_of(std::size_t i) {
  const std::string n = std::to_string(i);
  switch (i % 4) {
    case 0:
      return "http://site" + n + ".example.com:80/shop/";
    case 1:
      return "http://*.zone" + n + ".example.com:80/api/v1/";
    case 2:
      return "http://" + dotted(i) + ":80/";
    default:
      return "http://*:80/app" + n + "/static/";
  }
}

Texts request_of(std::size_t i) {
  const std::string n = std::to_string(i);
  Texts out{"nobody.example.net", "/index.html", {{192, 0, 2, 1}, 80, Endpoint::Family::ip4}};
  if (i % 4 == 0) out.host = "site" + n + ".example.com", out.path = "/shop/items/7.html";
  if (i % 4 == 1) out.host = "a.zone" + n + ".example.com", out.path = "/api/v1/users/7/name";
  if (i % 4 == 2) {
    out.local.address = {10, std::uint8_t(i >> 16), std::uint8_t(i >> 8), std::uint8_t(i)};
  }
  if (i % 4 == 3) out.path = "/app" + n + "/static/css/main.css";
  return out;
}

UrlRequest view_of(const Texts& texts) {
  return {UrlScheme::http, texts.host, texts.local, texts.path};
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t prefixes = count > 1
                                   ? std::min<std::size_t>(std::strtoul(arguments[1], nullptr, 10),
                                                           UrlNamespace::kMaxPrefixes - 1)
                                   : 10'000;
  std::vector<UrlEntry> entries;
  std::vector<Texts> requests;
  for (std::size_t i = 0; i < prefixes; ++i) {
    entries.push_back({*parse_url_prefix(prefix_of(i)), true, UrlEntry::kNoGroup, i});
    requests.push_back(request_of(i));
  }
  std::shuffle(requests.begin(), requests.end(), std::mt19937(1));
  const UrlTree tree(entries);

  for (int round = 0; round < 3; ++round) {
    std::size_t found = 0, looked = 0;
    const auto start = Clock::now();
    while (looked < 1'000'000) {
      for (const Texts& texts : requests) found += tree.find(view_of(texts)).entry != nullptr;
      looked += std::max<std::size_t>(requests.size(), 1);
    }
    std::printf("%zu prefixes: %.0f ns for a look-up, %zu of %zu found\n", prefixes,
                nanoseconds(start) / double(looked), found, looked);
  }

  // What a client can make worst: as many labels and segments as it likes.
  Texts worst = request_of(3);
  worst.host = "a";
  while (worst.host.size() < 250) worst.host += ".a";
  worst.path.clear();
  while (worst.path.size() < 16'000) worst.path += "/a";
  const auto start = Clock::now();
  std::size_t found = 0;
  for (int i = 0; i < 100'000; ++i) found += tree.find(view_of(worst)).entry != nullptr;
  std::printf("%zu prefixes: %.0f ns for the longest request, %zu found\n", prefixes,
              nanoseconds(start) / 100'000, found);

  std::vector<UrlPrefix> all;
  for (const UrlEntry& entry : entries) all.push_back(entry.prefix);
  UrlNamespace urls;
  auto changed = Clock::now();
  if (!urls.reserve(all)) return 1;
  std::printf("%zu prefixes: %.1f ms to add them at once\n", prefixes, nanoseconds(changed) / 1e6);
  const UrlPrefix one = *parse_url_prefix("http://one.example.org:80/");
  changed = Clock::now();
  if (!urls.reserve({&one, 1})) return 1;
  std::printf("%zu prefixes: %.1f ms to add one more\n", prefixes, nanoseconds(changed) / 1e6);
  return 0;
}

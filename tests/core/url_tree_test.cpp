// tests/core/url_tree_test.cpp - which prefix takes a request: the documented examples, and a slow
// and obvious model.
//
// Layer: tests.
#include "core/url_tree.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "core/url_harness.hpp"
#include "proto/http/target.hpp"

namespace sluice::test {
namespace {

using core::UrlEntry;
using core::UrlHost;
using core::UrlMatch;
using core::UrlRequest;
using core::UrlScheme;
using core::UrlTree;

// A `!` in front: reserved, and not registered.
UrlTree tree_of(const std::vector<std::string>& texts) {
  std::vector<UrlEntry> entries;
  for (const std::string& text : texts) {
    const bool reserved = text.starts_with('!');
    const auto number = static_cast<std::uint32_t>(entries.size());
    entries.push_back({prefix(text.substr(reserved ? 1 : 0)), reserved,
                       reserved ? UrlEntry::kNoGroup : number, number});
  }
  return UrlTree(std::move(entries));
}

std::string find(const UrlTree& tree, std::string_view host, std::string_view path,
                 std::uint16_t port = 80, const std::string& ip = "192.0.2.1") {
  return shown(tree.find(request(host, path, port, ip)));
}

// --- The examples of the documentation -----------------------------------------------------------

// "Routing incoming requests": three applications, one in each of three categories.
TEST(UrlTree, TheThreeApplications) {
  UrlTree tree = tree_of({"http://+:80/vroot/", "http://adatum.com:80/", "http://*:80/"});
  EXPECT_EQ(find(tree, "adatum.com", "/vroot/subdir/f"), "registered http://+:80/vroot/");
  EXPECT_EQ(find(tree, "adatum.com", "/default.htm"), "registered http://adatum.com:80/");
  EXPECT_EQ(find(tree, "other.com", "/f"), "registered http://*:80/");
}

TEST(UrlTree, AReservationKeepsItsRequestsFromOthers) {
  UrlTree tree = tree_of({"!http://adatum.com:80/", "http://*:80/vroot/"});
  EXPECT_EQ(find(tree, "adatum.com", "/vroot/f"), "reserved http://adatum.com:80/");
  EXPECT_EQ(find(tree, "other.com", "/vroot/f"), "registered http://*:80/vroot/");
  EXPECT_EQ(find(tree, "other.com", "/f"), "no match");
}

// --- Categories ----------------------------------------------------------------------------------

TEST(UrlTree, TheOrderOfHosts) {
  // Each one alone, then with all that come after it.
  const std::vector<std::string> all = {"http://+:80/",         "http://w.a.com:80/",
                                        "http://*.a.com:80/",   "http://*.com:80/",
                                        "http://192.0.2.1:80/", "http://*:80/"};
  for (std::size_t first = 0; first < all.size(); ++first) {
    UrlTree tree = tree_of({all.begin() + std::ptrdiff_t(first), all.end()});
    EXPECT_EQ(find(tree, "w.a.com", "/x"), "registered " + all[first]);
  }
}

// The first host with any match wins, whatever longer match stands further down.
TEST(UrlTree, NothingFurtherDownIsLookedAt) {
  const std::vector<std::string> all = {
      "http://+:80/a/",           "http://w.a.com:80/a/b/",         "http://*.a.com:80/a/b/c/",
      "http://*.com:80/a/b/c/d/", "http://192.0.2.1:80/a/b/c/d/e/", "http://*:80/a/b/c/d/e/f/"};
  UrlTree tree = tree_of(all);
  EXPECT_EQ(find(tree, "w.a.com", "/a/b/c/d/e/f/g"), "registered " + all[0]);
  EXPECT_EQ(find(tree, "w.a.com", "/b/"), "no match");
  for (std::size_t reserved = 0; reserved < all.size(); ++reserved) {
    std::vector<std::string> some(all.begin() + std::ptrdiff_t(reserved), all.end());
    some.front().insert(0, "!");
    EXPECT_EQ(find(tree_of(some), "w.a.com", "/a/b/c/d/e/f/g"), "reserved " + all[reserved]);
  }
}

// A host that has nothing for the path does not end the search.
TEST(UrlTree, AHostWithoutAMatchIsPassedOver) {
  UrlTree tree = tree_of({"http://+:80/p/", "http://w.a.com:80/q/", "http://*.w.a.com:80/",
                          "http://*.a.com:80/r/", "http://*.com:80/s/", "http://192.0.2.1:80/t/",
                          "http://*:80/u/"});
  EXPECT_EQ(find(tree, "w.a.com", "/p/"), "registered http://+:80/p/");
  EXPECT_EQ(find(tree, "w.a.com", "/q/"), "registered http://w.a.com:80/q/");
  EXPECT_EQ(find(tree, "w.a.com", "/r/"), "registered http://*.a.com:80/r/");
  EXPECT_EQ(find(tree, "w.a.com", "/s/"), "registered http://*.com:80/s/");
  EXPECT_EQ(find(tree, "w.a.com", "/t/"), "registered http://192.0.2.1:80/t/");
  EXPECT_EQ(find(tree, "w.a.com", "/u/"), "registered http://*:80/u/");
  EXPECT_EQ(find(tree, "w.a.com", "/v/"), "no match");
}

TEST(UrlTree, SubdomainsOfAnyDepthButNotTheDomain) {
  UrlTree tree = tree_of({"http://*.a.com:80/", "http://*.b.a.com:80/"});
  EXPECT_EQ(find(tree, "a.com", "/"), "no match");
  EXPECT_EQ(find(tree, "x.a.com", "/"), "registered http://*.a.com:80/");
  EXPECT_EQ(find(tree, "y.x.a.com", "/"), "registered http://*.a.com:80/");
  EXPECT_EQ(find(tree, "b.a.com", "/"), "registered http://*.a.com:80/");
  EXPECT_EQ(find(tree, "x.b.a.com", "/"), "registered http://*.b.a.com:80/");
  EXPECT_EQ(find(tree, "xa.com", "/"), "no match") << "labels are whole";
  EXPECT_EQ(find(tree, ".a.com", "/"), "no match") << "nothing stands before the dot";
  EXPECT_EQ(find(tree, "com", "/"), "no match");
}

TEST(UrlTree, HostFields) {
  UrlTree tree = tree_of({"http://adatum.com:80/"});
  for (const char* host :
       {"adatum.com", "ADATUM.com", "adatum.com:80", "adatum.com:", "adatum.com.", "Adatum.Com.:80",
        "adatum.com:8080" /* as a client behind a NAT has */}) {
    EXPECT_EQ(find(tree, host, "/"), "registered http://adatum.com:80/") << host;
  }
  const std::string longest(65536, 'a');
  for (const std::string& host :
       {std::string("adatum.co"), std::string("adatum.com.."), std::string("x.adatum.com"),
        std::string(), std::string("."), std::string("[::1]"), std::string("[::1]:80"), longest,
        std::string("adatum.com\0", 11)}) {
    EXPECT_EQ(find(tree, host, "/"), "no match") << host.substr(0, 20);
  }
}

// An address is where a connection comes in, not what its Host field says.
TEST(UrlTree, Addresses) {
  UrlTree tree = tree_of({"http://192.0.2.1:80/", "http://[2001:db8::1]:80/"});
  EXPECT_EQ(find(tree, "anything", "/"), "registered http://192.0.2.1:80/");
  EXPECT_EQ(find(tree, "192.0.2.2", "/"), "registered http://192.0.2.1:80/");
  EXPECT_EQ(find(tree, "192.0.2.1", "/", 80, "192.0.2.2"), "no match");
  EXPECT_EQ(find(tree, "x", "/", 80, "::ffff:192.0.2.1"), "registered http://192.0.2.1:80/")
      << "a listener for both families";
  EXPECT_EQ(find(tree, "x", "/", 80, "2001:db8::1"), "registered http://[2001:db8::1]:80/");
  EXPECT_EQ(find(tree, "x", "/", 80, "2001:db8::2"), "no match");
  UrlRequest local = request("x", "/");
  local.local = {};
  local.local.port = 80;
  EXPECT_EQ(shown(tree.find(local)), "no match") << "a local stream has no address";

  EXPECT_TRUE(tree.find(request("x", "/")).ip_routed());
  EXPECT_FALSE(tree_of({"http://*:80/"}).find(request("x", "/")).ip_routed());
  EXPECT_FALSE(UrlTree().find(request("x", "/")).ip_routed());
}

TEST(UrlTree, SchemeAndPortAreEqual) {
  UrlTree tree = tree_of({"http://*:80/", "https://*:443/"});
  EXPECT_EQ(find(tree, "a", "/", 80), "registered http://*:80/");
  EXPECT_EQ(find(tree, "a", "/", 81), "no match");
  EXPECT_EQ(find(tree, "a", "/", 443), "no match") << "http on a port of https";
  UrlRequest secure = request("a", "/", 443);
  secure.scheme = UrlScheme::https;
  EXPECT_EQ(shown(tree.find(secure)), "registered https://*:443/");
  secure.local.port = 80;
  EXPECT_EQ(shown(tree.find(secure)), "no match");
}

TEST(UrlTree, Empty) { EXPECT_EQ(find(UrlTree(), "a", "/"), "no match"); }

// --- Paths ---------------------------------------------------------------------------------------

TEST(UrlTree, TheLongestPathByWholeSegments) {
  UrlTree tree =
      tree_of({"http://*:80/", "http://*:80/a/", "http://*:80/a/b/c/", "http://*:80/ab/"});
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"/a", "/a/"},
      {"/a/", "/a/"},
      {"/ab", "/ab/"},
      {"/abc", "/"},
      {"/a/b", "/a/"},
      {"/a/b/", "/a/"},
      {"/a/b/c", "/a/b/c/"},
      {"/a/b/c/", "/a/b/c/"},
      {"/a/b/cd", "/a/"},
      {"/a/b/c/d", "/a/b/c/"},
      {"//", "/"},
      {"//a/", "/"},
      {"/a//b/c/", "/a/"},
      {"/a/b/c//", "/a/b/c/"},
      {"/A/", "/"},
      {"*", "/"},
      {"", "/"},
  };
  for (auto [path, found] : cases) {
    EXPECT_EQ(find(tree, "x", path), "registered http://*:80" + std::string(found)) << path;
  }
}

TEST(UrlTree, WithoutARootThereMayBeNoMatch) {
  UrlTree tree = tree_of({"http://*:80/a/b/"});
  EXPECT_EQ(find(tree, "x", "/a/b"), "registered http://*:80/a/b/");
  for (const char* path : {"/", "/a", "/a/", "/a/bc", "/b/", "*", ""}) {
    EXPECT_EQ(find(tree, "x", path), "no match") << path;
  }
}

TEST(UrlTree, AReservationBelowARegistration) {
  UrlTree tree = tree_of({"http://*:80/", "!http://*:80/a/", "http://*:80/a/b/"});
  EXPECT_EQ(find(tree, "x", "/c"), "registered http://*:80/");
  EXPECT_EQ(find(tree, "x", "/a/c"), "reserved http://*:80/a/");
  EXPECT_EQ(find(tree, "x", "/a/b/c"), "registered http://*:80/a/b/");
}

TEST(UrlTree, ReservedAndRegistered) {
  UrlTree tree({{prefix("http://*:80/"), true, 7, 99}});
  UrlMatch match = tree.find(request("x", "/"));
  ASSERT_EQ(match.kind, UrlMatch::Kind::registered);
  EXPECT_EQ(match.entry->group, 7u);
  EXPECT_EQ(match.entry->context, 99u);
}

// What is matched is what http::routing_path makes of a target; a prefix is read in the same way.
TEST(UrlTree, MatchesRoutingPaths) {
  UrlTree tree = tree_of({"http://*:80/caf%C3%A9/", "http://*:80/a%2fb/", "http://*:80/q%3f/"});
  const std::pair<const char*, const char*> cases[] = {
      {"/caf%c3%a9/x", "registered http://*:80/caf\xc3\xa9/"},
      {"/x/../caf\xc3\xa9", "registered http://*:80/caf\xc3\xa9/"},
      {"/a%2Fb/", "registered http://*:80/a%2Fb/"},
      {"/a/b/", "no match"},
      {"/q%3F/", "registered http://*:80/q%3F/"},
  };
  for (auto [target, found] : cases) {
    base::Arena arena;
    auto path = http::routing_path(target, 255, arena);
    ASSERT_TRUE(path.is_done()) << target;
    EXPECT_EQ(find(tree, "x", path.value()), found) << target;
  }
}

// --- Against a model -----------------------------------------------------------------------------

// What the documentation says, word by word.
class Model {
 public:
  explicit Model(const std::vector<UrlEntry>& entries) : entries_(entries) {}

  std::string find(const UrlRequest& request) const {
    std::string name(request.host);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    name = name.substr(0, name.find(':'));
    const auto any = [](const UrlEntry&) { return true; };
    std::string found = best(request, UrlHost::strong, any);
    if (found.empty())
      found =
          best(request, UrlHost::name, [&](const UrlEntry& e) { return e.prefix.host == name; });
    for (std::size_t size = name.size(); size > 0 && found.empty(); --size) {
      found = best(request, UrlHost::subdomains, [&](const UrlEntry& e) {
        return e.prefix.host.size() == size && name.ends_with("." + e.prefix.host);
      });
    }
    if (found.empty()) {
      found = best(request, UrlHost::address, [&](const UrlEntry& e) {
        const std::string ip = request.local.ip();
        const std::string host = ip.find(':') == std::string::npos ? ip : "[" + ip + "]";
        return e.prefix.text().find("://" + host + ":") != std::string::npos;
      });
    }
    if (found.empty()) found = best(request, UrlHost::weak, any);
    return found.empty() ? "no match" : found;
  }

 private:
  template <class HostFits>
  std::string best(const UrlRequest& request, UrlHost kind, HostFits fits) const {
    const UrlEntry* longest = nullptr;
    const std::string path = std::string(request.path) + "/";
    for (const UrlEntry& entry : entries_) {
      if (entry.prefix.scheme != request.scheme || entry.prefix.port != request.local.port)
        continue;
      if (entry.prefix.kind != kind || !fits(entry)) continue;
      if (!path.starts_with(entry.prefix.path)) continue;
      if (!longest || entry.prefix.path.size() > longest->prefix.path.size()) longest = &entry;
    }
    if (!longest) return "";
    return (longest->registered() ? "registered " : "reserved ") + longest->prefix.text();
  }
  const std::vector<UrlEntry>& entries_;
};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  template <std::size_t Size>
  std::string one_of(const char* const (&list)[Size]) {
    return list[below(Size)];
  }
  std::string name() {
    std::string out = one_of(kLabels);
    for (std::size_t more = below(4); more > 0; --more) out += "." + one_of(kLabels);
    return out;
  }
  std::string host() {
    switch (below(6)) {
      case 0:
        return "+";
      case 1:
        return "*";
      case 2:
        return one_of(kAddresses);
      case 3:
      case 4:
        return "*." + name();
      default:
        return name();
    }
  }
  std::string port_and_scheme(std::string& scheme) {
    const bool secure = below(4) == 0;
    scheme = secure ? "https" : "http";
    return secure ? "443" : below(2) == 0 ? "80" : "8080";
  }
  std::string prefix_text() {
    std::string scheme;
    const std::string port = port_and_scheme(scheme);
    std::string out = scheme + "://" + host() + ":" + port + "/";
    for (std::size_t more = below(5); more > 0; --more) out += one_of(kSegments) + "/";
    return out;
  }
  std::string path() {
    std::string out = "/";
    for (std::size_t more = below(7); more > 0; --more) {
      out += below(12) == 0 ? std::string() : one_of(kSegments);
      if (more > 1 || below(2) == 0) out += "/";
    }
    return out;
  }
  std::string host_field() {
    std::string out = below(8) == 0 ? "[2001:db8::1]" : name();
    if (below(4) == 0) out[0] = static_cast<char>(std::toupper(out[0]));
    if (below(3) == 0) out += ":8080";
    return out;
  }
  std::string address() { return one_of(kLocals); }

 private:
  static constexpr const char* kLabels[] = {"a", "b", "ab", "com"};
  static constexpr const char* kAddresses[] = {"192.0.2.1", "192.0.2.2", "[2001:db8::1]"};
  static constexpr const char* kLocals[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1",
                                            "::ffff:192.0.2.2"};
  static constexpr const char* kSegments[] = {"x", "y", "xy", "X", "%2F", "\xc3\xa9"};
  std::mt19937 engine_;
};

TEST(UrlTree, AgreesWithTheModel) {
  Random random(random_seed());
  std::map<std::string, int> kinds;
  for (int round = 0; round < 150; ++round) {
    std::map<std::string, UrlEntry> made;
    for (std::size_t i = random.below(120); i > 0; --i) {
      const std::string text = random.prefix_text();
      const bool reserved = random.below(3) == 0;
      const bool registered = !reserved || random.below(3) == 0;
      made[text] = {prefix(text), reserved, registered ? 1 : UrlEntry::kNoGroup, i};
    }
    std::vector<UrlEntry> entries;
    for (auto& [text, entry] : made) entries.push_back(entry);
    const UrlTree tree(entries);
    const Model model(entries);
    for (int i = 0; i < 150; ++i) {
      std::string scheme;
      const std::string port = random.port_and_scheme(scheme);
      const std::string host = random.host_field(), path = random.path();
      UrlRequest one =
          request(host, path, static_cast<std::uint16_t>(std::stoi(port)), random.address());
      one.scheme = scheme == "https" ? UrlScheme::https : UrlScheme::http;
      const UrlMatch match = tree.find(one);
      ASSERT_EQ(shown(match), model.find(one))
          << scheme << " " << host << " " << one.local.ip() << ":" << port << path;
      ++kinds[match.entry ? std::to_string(int(match.entry->prefix.kind)) +
                                (match.entry->registered() ? "" : "!")
                          : "none"];
    }
  }
  EXPECT_EQ(kinds.size(), 11u) << "every kind of host, registered and reserved, and no match";
}

// --- Size ----------------------------------------------------------------------------------------

TEST(UrlTree, TenThousandPrefixes) {
  const UrlTree tree(ten_thousand());
  ASSERT_EQ(tree.entries().size(), 10'000u);
  std::string host, path;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const UrlMatch match = tree.find(request_for(i, host, path));
    ASSERT_EQ(match.kind, UrlMatch::Kind::registered) << i;
    ASSERT_EQ(match.entry->context, i);
  }
  EXPECT_EQ(find(tree, "site1.example.com", "/"), "no match");
  EXPECT_EQ(find(tree, "shop.example.com", "/items/4"), "no match");
}

}  // namespace
}  // namespace sluice::test

// core/url_tree.hpp - which URL prefix a request belongs to.
//
// The precedence of the HTTP Server API (docs/reference/http-server-api.md, section 1.3). Layer:
// core. Thread: immutable once made; any number of threads look up at once, without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/url_prefix.hpp"

namespace sluice::core {

// A prefix that requests may be matched to: registered, reserved, or both.
struct UrlEntry {
  static constexpr std::uint32_t kNoGroup = 0xffff'ffff;
  UrlPrefix prefix;
  bool reserved = false;
  std::uint32_t group = kNoGroup;  // which URL group registered it; kNoGroup: it is reserved only
  std::uint64_t context = 0;       // the application's, delivered with each request

  bool registered() const { return group != kNoGroup; }
  friend bool operator==(const UrlEntry&, const UrlEntry&) = default;
};

// What is known of a request when it is matched. Views need to live during find() only.
struct UrlRequest {
  UrlScheme scheme = UrlScheme::http;
  // The Host field, or the authority of the target; its port, if it has one, is not compared: the
  // port of the connection has decided. Legal (http::is_authority) or not.
  std::string_view host;
  Endpoint local;         // where the connection came in
  std::string_view path;  // the routing path; what does not begin with a slash (`*`) is the root
};

struct UrlMatch {
  enum class Kind : std::uint8_t {
    no_match,    // 400, reason Hostname
    reserved,    // nobody serves it now: rejected, so that no other application gets it
    registered,  // `entry` says whose it is
  };
  Kind kind = Kind::no_match;
  const UrlEntry* entry = nullptr;  // lives as long as the tree; null without a match

  // The local address decided, and not the Host field (HTTP_REQUEST_FLAG_IP_ROUTED).
  bool ip_routed() const { return entry && entry->prefix.kind == UrlHost::address; }
};

// Hosts, domains, addresses and segments of paths are the edges of one tree, and all edges lie in
// one hash table: a step is one probe, whatever the number of prefixes.
class UrlTree {
 public:
  UrlTree() : UrlTree(std::vector<UrlEntry>()) {}
  // Preconditions: no prefix comes twice, and no port has both schemes.
  explicit UrlTree(std::vector<UrlEntry> entries);

  // A request is offered to these hosts, one after the other, and the first with any prefix of its
  // path takes it, by the longest one: `+`; the name of its Host field; `*.` and the ends of that
  // name, the longest first; its local address; `*`. A reservation takes what a registration would.
  // Allocates nothing.
  UrlMatch find(const UrlRequest& request) const;
  // Whatever their hosts and paths, all requests that come in here belong to the same prefix.
  bool takes_everything(const Endpoint& local) const;

  const std::vector<UrlEntry>& entries() const { return entries_; }

 private:
  using NodeId = std::uint32_t;
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  struct Node {
    std::uint32_t entry = kNone;  // whose path ends here
    NodeId paths = kNone;         // of a domain: the root of the paths of `*.domain`
    bool has_children = false;
  };
  struct Edge {
    NodeId parent = kNone, child = kNone;
    std::uint32_t label = 0;  // where it begins in labels_
    std::uint16_t size = 0;   // of the label
    std::uint16_t tag = 0;    // bits of its hash, so that few labels are compared in vain
  };
  // The roots of what is registered on a port.
  struct Port {
    std::uint16_t number = 0;
    UrlScheme scheme = UrlScheme::http;
    NodeId strong = kNone, names = kNone, domains = kNone, addresses = kNone, weak = kNone;
  };
  struct Builder;

  static std::uint64_t hash_of(NodeId parent, std::string_view label);
  NodeId child(NodeId parent, std::string_view label) const;
  std::uint32_t longest(NodeId paths, std::string_view path) const;
  std::uint32_t longest_below_domains(NodeId domains, std::string_view name,
                                      std::string_view path) const;
  const Port* port(std::uint16_t number) const;

  std::vector<UrlEntry> entries_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // a hash table, at most half full; its size is a power of two
  std::string labels_;
  std::vector<Port> ports_;  // by number
  std::size_t longest_label_ = 0;
};

}  // namespace sluice::core

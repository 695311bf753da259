// core/url_tree.cpp - one table of edges.
#include "core/url_tree.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <utility>

#include "base/check.hpp"
#include "proto/http/token.hpp"

namespace sluice::core {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabels = kMaxName / 2 + 1;  // of a name: a.b.c...

// A name in lower case, without its port. Names that no prefix can have are empty.
class HostName {
 public:
  explicit HostName(std::string_view host) {
    // An IPv6 literal is no name; only its local address can be meant.
    if (host.empty() || host.front() == '[') return;
    host = host.substr(0, host.find(':'));
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.size() > kMaxName) return;
    for (char c : host) text_[size_++] = http::lower(c);
  }
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  std::array<char, kMaxName> text_;
  std::size_t size_ = 0;
};

// Cuts the last label off `name`, and the dot before it.
std::string_view take_last_label(std::string_view& name) {
  const std::size_t dot = name.rfind('.');
  const std::size_t from = dot == std::string_view::npos ? 0 : dot + 1;
  const std::string_view label = name.substr(from);
  name.remove_suffix(name.size() - (from == 0 ? 0 : dot));
  return label;
}

// Cuts the first segment off `path`, which begins behind a slash, and the slash behind it. False
// when there was no more.
bool take_segment(std::string_view& path, std::string_view& segment) {
  if (path.empty()) return false;
  const std::size_t slash = path.find('/');
  segment = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  return true;
}

}  // namespace

// --- Making --------------------------------------------------------------------------------------

struct UrlTree::Builder {
  UrlTree& tree;
  std::size_t edges = 0;

  NodeId add_node() {
    tree.nodes_.emplace_back();
    return static_cast<NodeId>(tree.nodes_.size() - 1);
  }

  NodeId node(NodeId& id) {
    if (id == kNone) id = add_node();
    return id;
  }

  NodeId child(NodeId parent, std::string_view label) {
    if (const NodeId found = tree.child(parent, label); found != kNone) return found;
    if (tree.edges_.size() < 2 * (edges + 1)) grow();
    Edge edge;
    edge.parent = parent;
    edge.child = add_node();
    edge.label = static_cast<std::uint32_t>(tree.labels_.size());
    edge.size = static_cast<std::uint16_t>(label.size());
    tree.labels_ += label;
    tree.longest_label_ = std::max(tree.longest_label_, label.size());
    put(edge, hash_of(parent, label));
    tree.nodes_[parent].has_children = true;
    ++edges;
    return edge.child;
  }

  void put(Edge edge, std::uint64_t hash) {
    edge.tag = static_cast<std::uint16_t>(hash >> 48);
    const std::size_t mask = tree.edges_.size() - 1;
    std::size_t at = hash & mask;
    while (tree.edges_[at].child != kNone) at = (at + 1) & mask;
    tree.edges_[at] = edge;
  }

  void grow() {
    std::vector<Edge> before(std::max<std::size_t>(16, 2 * tree.edges_.size()));
    before.swap(tree.edges_);
    for (const Edge& edge : before) {
      if (edge.child == kNone) continue;
      const std::string_view label(tree.labels_.data() + edge.label, edge.size);
      put(edge, hash_of(edge.parent, label));
    }
  }

  // The root of the paths of this prefix's host.
  NodeId paths_of(Port& port, const UrlPrefix& prefix) {
    switch (prefix.kind) {
      case UrlHost::strong:
        return node(port.strong);
      case UrlHost::weak:
        return node(port.weak);
      case UrlHost::name:
        return child(node(port.names), prefix.host);
      case UrlHost::address:
        return child(node(port.addresses), prefix.host);
      case UrlHost::subdomains:
        break;
    }
    NodeId domain = node(port.domains);
    for (std::string_view rest = prefix.host; !rest.empty();) {
      domain = child(domain, take_last_label(rest));
    }
    if (tree.nodes_[domain].paths == kNone) {
      const NodeId paths = add_node();
      tree.nodes_[domain].paths = paths;
    }
    return tree.nodes_[domain].paths;
  }

  void add(Port& port, std::uint32_t entry) {
    const UrlPrefix& prefix = tree.entries_[entry].prefix;
    SLUICE_CHECK(port.scheme == prefix.scheme);
    NodeId at = paths_of(port, prefix);
    std::string_view rest = prefix.path, segment;
    rest.remove_prefix(1);
    while (take_segment(rest, segment)) at = child(at, segment);
    SLUICE_CHECK(tree.nodes_[at].entry == kNone);
    tree.nodes_[at].entry = entry;
  }
};

UrlTree::UrlTree(std::vector<UrlEntry> entries) : entries_(std::move(entries)), edges_(16) {
  for (const UrlEntry& entry : entries_) {
    Port one;
    one.number = entry.prefix.port;
    one.scheme = entry.prefix.scheme;
    ports_.push_back(one);
  }
  const auto less = [](const Port& a, const Port& b) { return a.number < b.number; };
  const auto same = [](const Port& a, const Port& b) { return a.number == b.number; };
  std::sort(ports_.begin(), ports_.end(), less);
  ports_.erase(std::unique(ports_.begin(), ports_.end(), same), ports_.end());
  Builder builder{*this};
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const Port* at = port(entries_[i].prefix.port);
    builder.add(ports_[static_cast<std::size_t>(at - ports_.data())], i);
  }
}

// --- Looking up ----------------------------------------------------------------------------------

std::uint64_t UrlTree::hash_of(NodeId parent, std::string_view label) {
  std::uint64_t hash = std::hash<std::string_view>()(label);
  hash = (hash ^ (parent + 1) * 0x9e37'79b9'7f4a'7c15) * 0xbf58'476d'1ce4'e5b9;
  return hash ^ (hash >> 32);
}

UrlTree::NodeId UrlTree::child(NodeId parent, std::string_view label) const {
  const std::uint64_t hash = hash_of(parent, label);
  const auto tag = static_cast<std::uint16_t>(hash >> 48);
  const std::size_t mask = edges_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Edge& edge = edges_[at];
    if (edge.child == kNone) return kNone;
    if (edge.tag == tag && edge.parent == parent && edge.size == label.size() &&
        std::memcmp(labels_.data() + edge.label, label.data(), label.size()) == 0) {
      return edge.child;
    }
  }
}

// The entry with the longest path, by whole segments, or kNone.
std::uint32_t UrlTree::longest(NodeId paths, std::string_view path) const {
  std::uint32_t best = nodes_[paths].entry;
  std::string_view segment;
  // An empty segment, or one that is longer than any, is no edge's; the rest is not looked at.
  while (take_segment(path, segment) && segment.size() <= longest_label_) {
    paths = child(paths, segment);
    if (paths == kNone) break;
    if (nodes_[paths].entry != kNone) best = nodes_[paths].entry;
  }
  return best;
}

std::uint32_t UrlTree::longest_below_domains(NodeId domains, std::string_view name,
                                             std::string_view path) const {
  // From the shortest end of the name to the longest, as the tree has them; tried the other way.
  std::array<NodeId, kMaxLabels> ends;
  std::size_t count = 0;
  NodeId at = domains;
  while (at != kNone && !name.empty()) {
    at = child(at, take_last_label(name));
    // The domain itself is not below it.
    if (at != kNone && !name.empty() && nodes_[at].paths != kNone && count < ends.size())
      ends[count++] = nodes_[at].paths;
  }
  while (count > 0) {
    const std::uint32_t entry = longest(ends[--count], path);
    if (entry != kNone) return entry;
  }
  return kNone;
}

const UrlTree::Port* UrlTree::port(std::uint16_t number) const {
  const auto at =
      std::lower_bound(ports_.begin(), ports_.end(), number,
                       [](const Port& port, std::uint16_t wanted) { return port.number < wanted; });
  return at != ports_.end() && at->number == number ? &*at : nullptr;
}

bool UrlTree::takes_everything(const Endpoint& local) const {
  const Port* here = port(local.port);
  if (!here) return false;
  const auto is_all = [this](NodeId paths) {
    return nodes_[paths].entry != kNone && !nodes_[paths].has_children;
  };
  if (here->strong != kNone) return is_all(here->strong);
  if (here->names != kNone || here->domains != kNone) return false;
  if (here->addresses != kNone) {
    const NodeId paths = child(here->addresses, address_octets(local));
    if (paths != kNone) return is_all(paths);
  }
  return here->weak != kNone && is_all(here->weak);
}

UrlMatch UrlTree::find(const UrlRequest& request) const {
  const Port* here = port(request.local.port);
  if (!here || here->scheme != request.scheme) return {};
  std::string_view path = request.path;
  if (path.starts_with('/')) {
    path.remove_prefix(1);
  } else {
    path = {};
  }
  std::uint32_t entry = kNone;
  const auto offer = [&](NodeId paths) {
    if (entry == kNone && paths != kNone) entry = longest(paths, path);
  };
  offer(here->strong);
  if (entry == kNone && (here->names != kNone || here->domains != kNone)) {
    const HostName name(request.host);
    if (here->names != kNone) offer(child(here->names, name.text()));
    if (entry == kNone && here->domains != kNone)
      entry = longest_below_domains(here->domains, name.text(), path);
  }
  if (entry == kNone && here->addresses != kNone)
    offer(child(here->addresses, address_octets(request.local)));
  offer(here->weak);
  if (entry == kNone) return {};
  const UrlEntry& found = entries_[entry];
  return {found.registered() ? UrlMatch::Kind::registered : UrlMatch::Kind::reserved, &found};
}

}  // namespace sluice::core

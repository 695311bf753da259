// core/router.cpp - a tree of segments.
#include "core/router.hpp"

#include <algorithm>

namespace sluice::core {

struct Router::Node {
  Literals literals;
  std::unique_ptr<Node> parameter;  // {name}
  std::string parameter_name;
  // What is served here.
  std::vector<std::pair<std::string, Route>> routes;  // by method
  std::string allow;
  std::unique_ptr<Route> forward;  // for any other method
  std::unique_ptr<WebSocketHandlers> websocket;
  // {name...}: everything below.
  std::unique_ptr<Node> rest;
  std::string rest_name;

  bool serves(bool for_websocket) const {
    return for_websocket ? websocket != nullptr : !routes.empty() || forward != nullptr;
  }
};

// --- Literals ------------------------------------------------------------------------------------

namespace {

// So many names are looked at one by one.
constexpr std::size_t kFew = 8;

// Which bit of Literals::sizes_ stands for names of this size.
std::uint64_t bit_of(std::size_t size) {
  return std::uint64_t{1} << std::min<std::size_t>(size, 63);
}

}  // namespace

Router::Node* Router::Literals::find(std::string_view name) const {
  if ((sizes_ & bit_of(name.size())) == 0) return nullptr;
  if (nodes_.size() <= kFew) {
    for (const auto& [held, node] : nodes_) {
      if (held == name) return node.get();
    }
    return nullptr;
  }
  auto at = place_of(name);
  return at != nodes_.end() && at->first == name ? at->second.get() : nullptr;
}

Router::Node& Router::Literals::find_or_add(std::string_view name) {
  if (Node* found = find(name)) return *found;
  sizes_ |= bit_of(name.size());
  return *nodes_.emplace(place_of(name), std::string(name), std::make_unique<Node>())->second;
}

Router::Literals::Nodes::const_iterator Router::Literals::place_of(std::string_view name) const {
  return std::lower_bound(nodes_.begin(), nodes_.end(), name,
                          [](const auto& node, std::string_view wanted) {
                            if (node.first.size() != wanted.size())
                              return node.first.size() < wanted.size();
                            return std::string_view(node.first) < wanted;
                          });
}

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

namespace {

Error bad_pattern(std::string_view pattern, std::string_view why) {
  return {Errc::invalid_argument, "route \"" + std::string(pattern) + "\": " + std::string(why)};
}

bool is_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<Router::Node*> Router::place(std::string_view pattern) {
  if (pattern.empty() || pattern.front() != '/')
    return bad_pattern(pattern, "it must begin with /");
  Node* node = root_.get();
  std::string_view left = pattern.substr(1);
  for (;;) {
    std::size_t slash = left.find('/');
    std::string_view segment = left.substr(0, slash);
    bool last = slash == std::string_view::npos;
    if (!segment.empty() && segment.front() == '{') {
      if (segment.back() != '}')
        return bad_pattern(pattern, "a parameter is a whole segment, {name}");
      std::string_view name = segment.substr(1, segment.size() - 2);
      bool rest = name.ends_with("...");
      if (rest) name.remove_suffix(3);
      if (!is_name(name))
        return bad_pattern(pattern, "a parameter's name has letters, digits and _ only");
      if (rest && !last) return bad_pattern(pattern, "{name...} must be the last segment");
      std::unique_ptr<Node>& child = rest ? node->rest : node->parameter;
      std::string& child_name = rest ? node->rest_name : node->parameter_name;
      if (!child) {
        child = std::make_unique<Node>();
        child_name = name;
      } else if (child_name != name) {
        return bad_pattern(pattern, "this place already has a parameter {" + child_name + "}");
      }
      node = child.get();
    } else {
      if (segment.find_first_of("{}") != std::string_view::npos) {
        return bad_pattern(pattern, "a parameter is a whole segment, {name}");
      }
      node = &node->literals.find_or_add(segment);
    }
    if (last) return node;
    left.remove_prefix(slash + 1);
  }
}

Result<void> Router::add_route(std::string_view method, std::string_view pattern, Route route) {
  auto node = place(pattern);
  if (!node) return node.error();
  for (const auto& [taken, unused] : (*node)->routes) {
    if (taken == method)
      return bad_pattern(pattern, std::string(method) + " is served there already");
  }
  if (method.empty()) return bad_pattern(pattern, "the method is missing");
  route.name = std::string(method) + " " + std::string(pattern);
  (*node)->routes.emplace_back(std::string(method), std::move(route));
  std::string allow;
  bool get = false, head = false;
  for (const auto& [served, unused] : (*node)->routes) {
    allow.append(allow.empty() ? "" : ", ").append(served);
    get = get || served == "GET";
    head = head || served == "HEAD";
  }
  if (get && !head) allow += ", HEAD";
  (*node)->allow = std::move(allow);
  empty_ = false;
  return {};
}

Result<void> Router::add(std::string_view method, std::string_view pattern, RequestHandler handler,
                         const RouteOptions& options) {
  if (!handler) return bad_pattern(pattern, "the handler is empty");
  return add_route(method, pattern, Route{{}, std::move(handler), {}, options, {}, -1});
}

Result<void> Router::add_native(std::string_view method, std::string_view pattern,
                                ExchangeHandler handler, const RouteOptions& options,
                                SinkMaker sink) {
  return add_route(method, pattern,
                   Route{{}, {}, std::move(handler), options, std::move(sink), -1});
}

Result<void> Router::add_forward(std::string_view pattern, int rule) {
  auto node = place(pattern);
  if (!node) return node.error();
  if ((*node)->forward) return bad_pattern(pattern, "it is forwarded already");
  (*node)->forward = std::make_unique<Route>();
  (*node)->forward->name = "forward " + std::string(pattern);
  (*node)->forward->forward = rule;
  empty_ = false;
  return {};
}

Result<void> Router::add_websocket(std::string_view pattern, WebSocketHandlers handlers) {
  auto node = place(pattern);
  if (!node) return node.error();
  if ((*node)->websocket) return bad_pattern(pattern, "a WebSocket is served there already");
  (*node)->websocket = std::make_unique<WebSocketHandlers>(std::move(handlers));
  empty_ = false;
  return {};
}

Result<void> Router::add_body_mode(std::string_view prefix, const RouteOptions& options) {
  if (prefix.empty() || prefix.front() != '/')
    return bad_pattern(prefix, "a prefix must begin with /");
  body_modes_.emplace_back(std::string(prefix), options);
  return {};
}

// The node for what is left of the path behind `node`'s slash, or null. Parameters of dead ends are
// taken back.
const Router::Node* Router::walk(const Node& node, std::string_view rest, Params& params,
                                 bool websocket) const {
  std::size_t slash = rest.empty() ? std::string_view::npos : rest.find('/');
  std::string_view segment = rest.substr(0, slash);
  bool last = slash == std::string_view::npos;
  auto follow = [&](const Node& child) -> const Node* {
    if (last) return child.serves(websocket) ? &child : nullptr;
    return walk(child, rest.substr(slash + 1), params, websocket);
  };
  if (const Node* found = node.literals.find(segment)) {
    if (const Node* match = follow(*found)) return match;
  }
  if (node.parameter && !segment.empty()) {
    std::size_t before = params.size();
    params.emplace_back(node.parameter_name, segment);
    if (const Node* match = follow(*node.parameter)) return match;
    params.resize(before);
  }
  if (node.rest && node.rest->serves(websocket)) {
    params.emplace_back(node.rest_name, rest);
    return node.rest.get();
  }
  return nullptr;
}

Router::Match Router::find(std::string_view method, std::string_view path, Params& params) const {
  if (empty_ || path.empty() || path.front() != '/') return {};
  const Node* node = walk(*root_, path.substr(1), params, false);
  if (!node) return {};
  Match match;
  match.path_known = true;
  match.allow = node->allow;
  for (const auto& [served, route] : node->routes) {
    if (served == method) match.route = &route;
  }
  if (!match.route && method == "HEAD") {
    for (const auto& [served, route] : node->routes) {
      if (served == "GET") match.route = &route;
    }
  }
  if (!match.route) match.route = node->forward.get();
  return match;
}

const WebSocketHandlers* Router::find_websocket(std::string_view path, Params& params) const {
  if (empty_ || path.empty() || path.front() != '/') return nullptr;
  const Node* node = walk(*root_, path.substr(1), params, true);
  return node ? node->websocket.get() : nullptr;
}

const RouteOptions* Router::longest_body_mode(std::string_view path) const {
  const RouteOptions* best = nullptr;
  std::size_t longest = 0;
  for (const auto& [prefix, options] : body_modes_) {
    if (path.starts_with(prefix) && prefix.size() >= longest) {
      longest = prefix.size();
      best = &options;
    }
  }
  return best;
}

}  // namespace sluice::core

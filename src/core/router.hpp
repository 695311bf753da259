// core/router.hpp - which handler takes a path.
//
// Patterns: `/items/{id}`, `/files/{path...}`. Literal segments go before parameters, so the most
// exact pattern wins. Built before start, read by all shards. Layer: core.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/server.hpp>

#include "core/body_sink.hpp"

namespace sluice::core {

class Exchange;

// What a service answers by itself (files): it answers the exchange, now or later.
using ExchangeHandler = std::function<void(Exchange&)>;
// Where the bodies of a route go: see BodySinks::open.
using SinkMaker = std::function<std::unique_ptr<BodySink>(Exchange&)>;

// One method (or the WebSocket) at one pattern.
struct Route {
  std::string name;  // "GET /items/{id}", for the log
  RequestHandler handler;
  ExchangeHandler native;  // instead of handler
  RouteOptions options;
  SinkMaker sink;    // instead of the session's; null: that
  int forward = -1;  // the forwarder's rule; -1: answered here
};

using Params = std::vector<std::pair<std::string_view, std::string_view>>;

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Errc::invalid_argument with words when the pattern is malformed or taken.
  Result<void> add(std::string_view method, std::string_view pattern, RequestHandler handler,
                   const RouteOptions& options);
  Result<void> add_native(std::string_view method, std::string_view pattern,
                          ExchangeHandler handler, const RouteOptions& options,
                          SinkMaker sink = {});
  // For every method that has no route of its own there, and for WebSockets that have none.
  Result<void> add_forward(std::string_view pattern, int rule);
  Result<void> add_websocket(std::string_view pattern, WebSocketHandlers handlers);
  Result<void> add_body_mode(std::string_view prefix, const RouteOptions& options);

  struct Match {
    const Route* route = nullptr;
    bool path_known = false;  // some method is served at this path
    std::string_view allow;   // for 405: "GET, HEAD, POST"
  };
  // `params` gets views of the pattern's names and of `path`.
  Match find(std::string_view method, std::string_view path, Params& params) const;
  const WebSocketHandlers* find_websocket(std::string_view path, Params& params) const;
  // Of requests that no route takes: the longest prefix, or null.
  const RouteOptions* body_mode(std::string_view path) const {
    return body_modes_.empty() ? nullptr : longest_body_mode(path);
  }
  bool empty() const { return empty_; }

 private:
  const RouteOptions* longest_body_mode(std::string_view path) const;
  struct Node;
  // The children of a node that are literal segments, by the size of their names, then their bytes.
  class Literals {
   public:
    Node* find(std::string_view name) const;
    Node& find_or_add(std::string_view name);

   private:
    using Nodes = std::vector<std::pair<std::string, std::unique_ptr<Node>>>;
    Nodes::const_iterator place_of(std::string_view name) const;
    Nodes nodes_;
    std::uint64_t sizes_ = 0;  // bit n: some name has n bytes (63: or more)
  };
  Result<Node*> place(std::string_view pattern);
  Result<void> add_route(std::string_view method, std::string_view pattern, Route route);
  const Node* walk(const Node& node, std::string_view rest, Params& params, bool websocket) const;
  std::unique_ptr<Node> root_;
  std::vector<std::pair<std::string, RouteOptions>> body_modes_;
  bool empty_ = true;
};

}  // namespace sluice::core

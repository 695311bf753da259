// core/destination.cpp - a place for each hash; who comes later has it.
#include "core/destination.hpp"

#include <functional>

namespace sluice::core {

DestinationRef Destinations::make(const Endpoint& local, std::string_view url,
                                  std::string_view protocol, const WebSocketHandlers* handlers,
                                  std::unique_ptr<const Headers> fields,
                                  const std::optional<ws::DeflateParameters>& deflate) const {
  auto made = std::make_unique<Destination>();
  made->home = home_;
  made->local = local;
  made->url = url;
  made->protocol = protocol;
  made->handlers = handlers;
  made->fields = std::move(fields);
  made->deflate = deflate;
  return DestinationRef(made.release());
}

DestinationRef Destinations::with_fields(
    const Endpoint& local, std::string_view url, std::string_view protocol,
    const WebSocketHandlers& handlers, Headers fields,
    const std::optional<ws::DeflateParameters>& deflate) const {
  return make(local, url, protocol, &handlers, std::make_unique<const Headers>(std::move(fields)),
              deflate);
}

DestinationRef Destinations::of(const Endpoint& local) {
  for (const DestinationRef& each : plain_) {
    if (each->local == local) return each;
  }
  // Clients may choose among very many addresses of a server that listens on any.
  if (plain_.size() == kPlain) return make(local, {}, {}, nullptr);
  plain_.push_back(make(local, {}, {}, nullptr));
  return plain_.back();
}

DestinationRef Destinations::of(const Endpoint& local, std::string_view url,
                                std::string_view protocol, const WebSocketHandlers& handlers,
                                const std::optional<ws::DeflateParameters>& deflate) {
  std::hash<std::string_view> hash;
  // Clients of the same URL that agreed on something else have a place of their own.
  const std::size_t agreed =
      deflate ? std::size_t{deflate->server_window_bits} * 64 + deflate->client_window_bits * 4u +
                    deflate->server_context_takeover * 2u + deflate->client_context_takeover
              : 0;
  DestinationRef& place = places_[(hash(url) + 31 * hash(protocol) + 17 * agreed) % kPlaces];
  bool same = place.get() && place->url == url && place->protocol == protocol &&
              place->local == local && place->handlers == &handlers && place->deflate == deflate;
  if (!same) place = make(local, url, protocol, &handlers, nullptr, deflate);
  return place;
}

}  // namespace sluice::core

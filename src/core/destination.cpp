// core/destination.cpp - a place for each hash; who comes later has it.
#include "core/destination.hpp"

#include <functional>

namespace sluice::core {

DestinationRef Destinations::make(const Endpoint& local, std::string_view url,
                                  std::string_view protocol,
                                  const WebSocketHandlers* handlers) const {
  auto made = std::make_unique<Destination>();
  made->home = home_;
  made->local = local;
  made->url = url;
  made->protocol = protocol;
  made->handlers = handlers;
  return DestinationRef(made.release());
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
                                std::string_view protocol, const WebSocketHandlers& handlers) {
  std::hash<std::string_view> hash;
  DestinationRef& place = places_[(hash(url) + 31 * hash(protocol)) % kPlaces];
  bool same = place.get() && place->url == url && place->protocol == protocol &&
              place->local == local && place->handlers == &handlers;
  if (!same) place = make(local, url, protocol, &handlers);
  return place;
}

}  // namespace sluice::core

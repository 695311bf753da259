// core/destination.cpp - a place for each hash; who comes later has it.
#include "core/destination.hpp"

#include <functional>

namespace sluice::core {
namespace {

DestinationRef make(const Endpoint& local, std::string_view url, std::string_view protocol) {
  auto made = std::make_unique<Destination>();
  made->local = local;
  made->url = url;
  made->protocol = protocol;
  return DestinationRef(made.release());
}

}  // namespace

DestinationRef Destinations::of(const Endpoint& local) {
  for (const DestinationRef& each : plain_) {
    if (each->local == local) return each;
  }
  plain_.push_back(make(local, {}, {}));
  return plain_.back();
}

DestinationRef Destinations::of(const Endpoint& local, std::string_view url,
                                std::string_view protocol) {
  std::hash<std::string_view> hash;
  DestinationRef& place = places_[(hash(url) + 31 * hash(protocol)) % kPlaces];
  bool same =
      place.get() && place->url == url && place->protocol == protocol && place->local == local;
  if (!same) place = make(local, url, protocol);
  return place;
}

}  // namespace sluice::core

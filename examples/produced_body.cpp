// examples/produced_body.cpp - a large answer that is made while the client takes it.
//
//   produced_body [PORT]                                  8080; 0 asks for a free one
//   curl http://localhost:8080/?below=1000000             all primes below that
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <span>
#include <string>

#include <sluice/sluice.hpp>

namespace {

// The primes below `end`, one a line, as many at a time as there is room for.
class Primes {
 public:
  explicit Primes(unsigned long end) : end_(end) {}
  std::size_t operator()(std::span<std::byte> room) {
    std::size_t used = 0;
    for (; next_ < end_ && used + 24 <= room.size(); ++next_) {
      if (!is_prime(next_)) continue;
      const std::string line = std::to_string(next_) + "\n";
      std::memcpy(room.data() + used, line.data(), line.size());
      used += line.size();
    }
    return used;
  }

 private:
  static bool is_prime(unsigned long n) {
    for (unsigned long i = 2; i <= n / i; ++i) {
      if (n % i == 0) return false;
    }
    return true;
  }
  unsigned long next_ = 2, end_;
};

}  // namespace

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest& request,
                              sluice::HttpResponse& response) {
    const std::string below(request.parameter("below").value_or("100"));
    response.content_type("text/plain");
    response.content_producer(Primes(std::strtoul(below.c_str(), nullptr, 10)));
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}

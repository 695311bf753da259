// tests/e2e/auth_server.cpp - a server behind every scheme of authentication, for clients of
// others.
//
//   e2e_auth_server FOLDER [ENGINE]
//
// Users of FOLDER/users and FOLDER/digests, keys of FOLDER/rsa.pem and FOLDER/keys.json. A request
// is answered with who asks and for what, as a WebSocket's messages are.
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

namespace {

std::string who(const sluice::Identity& identity) {
  return std::string(to_string(identity.scheme)) + " " + identity.user;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  const std::string engine = argc > 2 ? argv[2] : "";
  sluice::Server server;
  server.port = 0;
  if (engine == "uring") server.engine = sluice::EngineKind::uring;
  if (engine == "epoll") server.engine = sluice::EngineKind::epoll;
  sluice::Authentication& settings = server.authentication;
  settings.enabled = settings.basic.enabled = settings.digest.enabled = true;
  settings.bearer.enabled = settings.session.enabled = settings.url.enabled = true;
  settings.realm = "e2e";
  settings.digest.allow_md5 = true;
  settings.bearer.issuer = "tests";
  settings.bearer.audience = {"e2e"};
  settings.bearer.algorithms.push_back(sluice::TokenAlgorithm::hs256);
  settings.bearer.key_files = {folder + "/rsa.pem"};
  settings.bearer.jwks_file = folder + "/keys.json";
  settings.failures.free = settings.failures.refuse_after = 10'000;
  for (const auto& loaded :
       {settings.users.load(folder + "/users"), settings.digest.users.load(folder + "/digests")}) {
    if (loaded) continue;
    std::cerr << loaded.error().message() << "\n";
    return 1;
  }
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest& request,
                              sluice::HttpResponse& response) {
    response.content_text(who(request.authentication()) + " " + std::string(request.document()) +
                          " " + std::string(request.body().text()));
  };
  server.on_message = [](sluice::Connection connection, std::string_view) {
    connection.write_data(who(connection.authentication()) + " " + std::string(connection.url()));
  };
  server.on_log = [](sluice::LogLevel, sluice::Errc, std::string_view message) {
    std::cout << message << std::endl;
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}

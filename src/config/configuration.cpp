// config/configuration.cpp - see configuration.hpp.
//
// Layer: config.
#include "config/configuration.hpp"

namespace sluice::config {
namespace {

// One list for both directions, so that none can be forgotten in one of them.
template <class From, class To>
void copy(const From& from, To& to) {
  to.host = from.host;
  to.port = from.port;
  to.bindings = from.bindings;
  to.binding_options = from.binding_options;
  to.ssl_options = from.ssl_options;
  to.fine_tune = from.fine_tune;
  to.limits = from.limits;
  to.timeouts = from.timeouts;
  to.options = from.options;
  to.queue_options = from.queue_options;
  to.extensions = from.extensions;
  to.content_coding = from.content_coding;
  to.security_options = from.security_options;
  to.request_queue = from.request_queue;
  to.tcp_keep_alive = from.tcp_keep_alive;
  to.http_upload_files = from.http_upload_files;
  to.log_file = from.log_file;
  to.name_servers = from.name_servers;
  to.heartbeat = from.heartbeat;
  to.watchdog = from.watchdog;
  to.rate_limits = from.rate_limits;
  to.response_cache = from.response_cache;
  to.cache_rules = from.cache_rules;
  to.asynchronous = from.asynchronous;
  to.dispatch = from.dispatch;
  to.thread_pool_size = from.thread_pool_size;
  to.shards = from.shards;
  to.engine = from.engine;
  to.read_buffer_size = from.read_buffer_size;
  to.handler_limit = from.handler_limit;
}

}  // namespace

ServerSettings settings_of(const Settings& server) {
  ServerSettings settings;
  copy(server, settings);
  settings.authentication = server.authentication;
  for (const auto& [name, options] : server.url_groups) {
    settings.url_groups.push_back({name, options});
  }
  for (const auto& protocol : server.protocols.list()) settings.protocols.push_back(protocol.name);
  return settings;
}

void set(const ServerSettings& settings, Settings& server) {
  copy(settings, server);
  const UserList users = server.authentication.users;
  const DigestUserList digest_users = server.authentication.digest.users;
  server.authentication = settings.authentication;
  server.authentication.users = users;
  server.authentication.digest.users = digest_users;
  server.url_groups.clear();
  for (const NamedUrlGroup& group : settings.url_groups) {
    server.url_groups.insert_or_assign(group.name, group.options);
  }
  server.protocols.clear();
  for (const std::string& name : settings.protocols) server.protocols.add(name);
}

}  // namespace sluice::config

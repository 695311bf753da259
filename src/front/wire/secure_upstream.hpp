// front/wire/secure_upstream.hpp - TLS of a connection of ours to another server.
//
// Layer: front/wire. Thread: UpstreamTls any, SecureUpstream shard.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <sluice/result.hpp>

#include "core/upstream.hpp"
#include "front/wire/secure.hpp"
#include "tls/context.hpp"

namespace sluice::wire {

class UpstreamConnection;

// What a server is spoken to with.
class UpstreamTls final : public core::UpstreamSecurity {
 public:
  // `host`: a name or an address, for which its certificate must be, and which it is told (SNI).
  UpstreamTls(std::shared_ptr<const tls::Context> with, std::string whom)
      : context(std::move(with)), host(std::move(whom)) {}
  const std::shared_ptr<const tls::Context> context;  // one of Context::client
  const std::string host;
};

class SecureUpstream final : public Secure {
 public:
  // Errors: invalid_argument (that is no host), out_of_memory. std::bad_alloc.
  static Result<std::unique_ptr<SecureUpstream>> make(Loop& loop, UpstreamConnection& connection,
                                                      const UpstreamTls& with);

 private:
  SecureUpstream(Loop& loop, UpstreamConnection& connection, std::unique_ptr<tls::Session> session);

  void begin_event() override {}
  void plain(const io::Received& received) override;
  void end_event() override {}
  bool wants_more() const override;
  void opened() override {}
  void refused(const tls::Failure& why) override;
  void want_to_go_on() override;
  void broken() override {}
  void sent(std::uint64_t bytes) override;
  void ended(bool truncated) override;
  void closed(const Error& why) override;

  UpstreamConnection& connection_;
};

}  // namespace sluice::wire

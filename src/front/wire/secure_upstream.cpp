// front/wire/secure_upstream.cpp - see secure_upstream.hpp.
#include "front/wire/secure_upstream.hpp"

#include <new>

#include "front/wire/loop.hpp"
#include "front/wire/upstream.hpp"

namespace sluice::wire {

Result<std::unique_ptr<SecureUpstream>> SecureUpstream::make(Loop& loop,
                                                             UpstreamConnection& connection,
                                                             const UpstreamTls& with) {
  auto session = tls::Session::connect(with.context, with.host);
  if (!session) return session.error();
  return std::unique_ptr<SecureUpstream>(new SecureUpstream(loop, connection, std::move(*session)));
}

SecureUpstream::SecureUpstream(Loop& loop, UpstreamConnection& connection,
                               std::unique_ptr<tls::Session> session)
    : Secure(loop, connection, std::move(session)), connection_(connection) {}

void SecureUpstream::plain(const io::Received& received) { connection_.on_received(received); }
bool SecureUpstream::wants_more() const { return !connection_.closing_; }
void SecureUpstream::sent(std::uint64_t bytes) { connection_.on_sent(bytes); }
void SecureUpstream::want_to_go_on() { connection_.mark_dirty(); }

void SecureUpstream::refused(const tls::Failure& failed) {
  if (connection_.closing_) return;
  std::string words = "TLS: ";
  words += tls::word(failed.reason);
  if (!failed.detail.empty()) words.append(", ").append(failed.detail);
  connection_.refused(words);
}

void SecureUpstream::ended(bool truncated) { connection_.ended(truncated); }

void SecureUpstream::closed(const Error& why) { connection_.on_closed(why); }

}  // namespace sluice::wire

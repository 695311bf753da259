// tls/session.hpp - one TLS connection: cipher bytes in, plain bytes out, and the other way round.
//
// RFC 8446 (1.3), RFC 5246 (1.2), by libssl. It knows no socket: whoever uses it brings bytes and
// takes bytes, and nothing here waits. Cipher bytes are read where they were received and handed
// out where libssl sealed them: there is no buffer in between. Between two records a session keeps
// none at all. Only a client's first record is kept until it is whole: libssl takes 64 KiB as soon
// as it is asked to shake hands. Layer: tls. Thread: shard; one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "base/clock.hpp"
#include "tls/context.hpp"
#include "tls/framing.hpp"

struct bio_st;
struct bio_method_st;
struct ssl_st;

namespace sluice::tls {

// At most so many plain bytes are in a record.
inline constexpr std::size_t kRecordBytes = 16384;

// So many handshake messages may come behind the handshake (KeyUpdate, tickets, renegotiation) with
// no plain byte between: each costs a shard some 20 us and may ask for an answer.
inline constexpr std::size_t kMostMessages = 32;

// Takes cipher bytes to send, in order.
class Out {
 public:
  // The bytes are the session's again when it returns. False: there is no memory for them, which
  // ends the session. Must not call the session.
  virtual bool put(Bytes cipher) noexcept = 0;

 protected:
  ~Out() = default;  // never deleted through this interface
};

// Why a session failed.
enum class Reason : std::uint8_t {
  none,
  http_request,         // a client speaks HTTP in clear; no byte was taken, and none is sent
  not_tls,              // what came first is neither; no alert is sent for a first byte of no use
  hello_too_large,      // a ClientHello over kMostHelloBytes
  no_common_version,    //
  no_common_cipher,     // or group, or kind of signature
  no_common_protocol,   // ALPN
  certificate_missing,  // the client showed none
  certificate_refused,  // the peer's certificate is not one to trust, or is for another name
  peer_refused,         // the peer sent an alert
  bad_record,           // damaged, too large, not in its place, or too many of its kind
  truncated,            // the peer ended the stream, or said close_notify, inside the handshake
  out_of_memory,
  broken,  // anything else: see the words
};

// A word for logs and counters: "http_request".
std::string_view word(Reason reason);

struct Failure {
  Reason reason = Reason::none;
  std::string detail = {};  // for an operator: what libssl said, which alert came
  explicit operator bool() const { return reason != Reason::none; }
};

// What the peer's certificate says. It has been verified, unless the context says otherwise.
struct PeerCertificate {
  std::string subject;      // RFC 4514
  std::string issuer;       // RFC 4514
  std::string fingerprint;  // SHA-256, lower-case hexadecimal digits
};

class Session {
 public:
  // For a client that has connected to us. `context` is one of Context::server. libssl is not asked
  // for anything before the client's first record is whole. Errc::out_of_memory.
  static Result<std::unique_ptr<Session>> accept(std::shared_ptr<const Context> context);
  // Towards another server; `context` is one of Context::client, `host` the name or address that
  // its certificate must be for, in subjectAltName. A name is told to it (SNI).
  // Errc::invalid_argument: no such host; Errc::out_of_memory.
  static Result<std::unique_ptr<Session>> connect(std::shared_ptr<const Context> context,
                                                  const std::string& host);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // A client's first bytes; a server has nothing to say yet.
  void begin(Out& out);

  // What all sessions need and what is made once: a Context does, when it is made. False: memory
  // is out; it may be tried again. Thread: any.
  static bool prepare();

  // Takes received cipher bytes and gives plain ones. Each call takes bytes from the front of
  // `cipher`, and returns a run of plain bytes. Call it until it returns nothing: then `cipher` is
  // empty, or the session has failed. What it returned counts also when it has failed behind it.
  //
  // `room` empty: plain bytes stand in the memory of `cipher`, over what has been taken. Otherwise
  // they are in `room`, which must be given when needs_room() says so: a record that began in
  // earlier bytes does not fit over the end of it. kRecordBytes of room take any record.
  //
  // Answers of the protocol go to `out`, and the alert that says why it fails. After the peer's
  // close_notify the rest of `cipher` is dropped, as RFC 8446 section 6.1 wants it.
  std::span<std::byte> receive(std::span<std::byte>& cipher, std::span<std::byte> room, Out& out);
  bool needs_room() const;

  // Seals plain bytes: one record for each kRecordBytes of them, however many parts they are; small
  // records at the start, and when nothing was sent for a second before `now`, so that a client can
  // read the first of them after one packet. False: it has failed, which what can_send() excludes
  // makes it do. Precondition: is_open(), and close() was not called.
  bool send(std::span<const Bytes> parts, base::Instant now, Out& out);
  // False for a session towards another server while a handshake message of it (a ticket, mostly)
  // has come in part: libssl seals nothing then. receive() changes it. Of a server's session it is
  // is_open(): a client that does so has failed.
  bool can_send() const;

  // close_notify: nothing is sent any more. Receiving goes on. Where can_send() is false it is put
  // by the receive() that changes that.
  void close(Out& out);
  // The peer ended the stream (FIN). Inside the handshake the session has failed. Behind it, it is
  // truncated unless close_notify came before: what came may not be all there was. What is left to
  // send can still be sent.
  void end_of_input();

  bool is_open() const { return phase_ == Phase::open; }  // handshake done, not failed
  bool has_failed() const { return phase_ == Phase::failed; }
  bool peer_has_closed() const { return peer_closed_; }  // close_notify came
  bool is_truncated() const { return truncated_; }       // open, and the stream ended without it
  const Failure& failure() const { return failure_; }

  // What was agreed on. Precondition: the handshake is done. Views live as long as the session.
  std::string_view version() const;   // "TLSv1.3"
  std::string_view cipher() const;    // "TLS_AES_128_GCM_SHA256"
  std::string_view protocol() const;  // ALPN; empty: none
  bool is_resumed() const;
  // The name that the client asked for, as it wrote it; empty: none. Known from the ClientHello on.
  std::string_view server_name() const { return asked_.server_name; }
  // False when the peer showed none.
  bool has_peer_certificate() const;
  // Errc::not_found: there is none; Errc::out_of_memory.
  Result<PeerCertificate> peer_certificate() const;

  const Context& context() const { return *context_; }

 private:
  enum class Phase : std::uint8_t { handshake, open, failed };
  static constexpr std::size_t kSmallRecord = 1300;  // with its head it fits into a packet
  static constexpr std::uint8_t kSmallRecords = 10;
  static constexpr base::Duration kPause = std::chrono::seconds(1);

  explicit Session(std::shared_ptr<const Context> context);
  bool make_ssl();

  bool is_first_whole(std::span<std::byte>& cipher);
  bool keep_first(std::span<std::byte>& cipher);
  bool shake_hands();
  std::size_t read(std::span<std::byte> to);
  void look_at_messages();
  void shut_down();
  bool seal(Bytes plain);
  bool seal_gathered(std::span<const Bytes>& parts, std::size_t& used, std::size_t size);
  bool is_key_worn();
  bool is_split();
  bool is_flooded() const { return messages_ > kMostMessages; }
  void judge(int verdict);
  void fail(Reason reason, std::string_view detail) noexcept;

  // The BIO: libssl's way to what stands in `in_` and `out_` during a call.
  static int bio_read(bio_st* bio, char* to, std::size_t size, std::size_t* done);
  static int bio_write(bio_st* bio, const char* from, std::size_t size, std::size_t* done);
  static long bio_control(bio_st* bio, int command, long number, void* pointer);
  static void on_message(int is_ours, int version, int type, const void* bytes, std::size_t size,
                         ssl_st* ssl, void* session);
  struct Call;

  const std::shared_ptr<const Context> context_;
  ssl_st* ssl_ = nullptr;
  std::span<std::byte> in_;  // during a call
  Out* out_ = nullptr;       // during a call
  base::Instant last_sent_ = base::Instant::min();
  std::vector<std::byte> first_;  // of a client's first record, until libssl has taken it
  std::size_t first_taken_ = 0;
  Context::Asked asked_;
  std::uint32_t sealed_ = 0;    // records under the present key
  std::uint16_t messages_ = 0;  // since plain bytes came, at most one over kMostMessages
  Framing framing_;
  Phase phase_ = Phase::handshake;
  std::uint8_t small_left_ = kSmallRecords;
  bool started_ = false;
  bool peer_closed_ = false;
  bool truncated_ = false;
  bool closed_ = false;
  bool owes_close_ = false;  // close() was called, and can_send() was false
  bool hello_too_large_ = false;
  bool in_parts_ = false;  // a client's message behind the handshake
  bool no_memory_ = false;
  Failure failure_;
};

}  // namespace sluice::tls

// sluice/authentication.hpp - who may come in: settings, users, and who it was.
//
// docs/reference/component.md section 5. Schemes are asked in the order of AuthenticationScheme;
// the first whose credentials a request carries decides. What fails gets 401 with a challenge for
// each scheme that is switched on, an upgrade too, before any 101. Layer: public.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/export.hpp>
#include <sluice/result.hpp>

namespace sluice {

class Server;

enum class AuthenticationScheme : std::uint8_t {
  none,     // nobody in particular: no authentication, or allow_non_auth
  bearer,   // a JSON Web Token (RFC 6750, RFC 7519)
  basic,    // RFC 7617
  digest,   // RFC 7616
  session,  // a token that was issued a moment ago, in the URL
  url,      // name and password in the URL
};

// "bearer", "basic", "digest", "session", "url"; "none".
SLUICE_API std::string_view to_string(AuthenticationScheme scheme);

// Who it is, and how that is known.
struct Identity {
  std::string user = {};  // of a token: its subject, which may be empty
  AuthenticationScheme scheme = AuthenticationScheme::none;

  explicit operator bool() const { return scheme != AuthenticationScheme::none; }
  friend bool operator==(const Identity&, const Identity&) = default;
};

// Users and the hashes of their passwords: yescrypt, SHA-crypt or argon2id, as `sluice passwd`
// makes them. Whoever copies it has the same list. Thread: any, also while a server runs; a user
// who is changed or removed has to show a password again at once. Errors: bad_setting (which names
// what is wrong, never the hash), and those of reading a file.
class SLUICE_API UserList {
 public:
  UserList();
  // A user, or a new hash for one.
  Result<void> add(std::string_view name, std::string_view hash);
  // False when there was no such user.
  bool remove(std::string_view name);
  // Lines of `name:hash`: all of them or none.
  Result<void> load(const std::string& file);
  // The users of another list in the place of all that it has: who has the same hash as before is
  // as before.
  void assign(const UserList& other);
  std::size_t size() const;

  // Whether it is the same list.
  friend bool operator==(const UserList& a, const UserList& b) { return a.shared_ == b.shared_; }

 private:
  friend class Server;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// Users of Digest: SHA-256 (or MD5) of `user:realm:password`, which is as good as the password.
class SLUICE_API DigestUserList {
 public:
  DigestUserList();
  // `algorithm` is SHA-256 or MD5, `ha1` in hexadecimal with small letters.
  Result<void> add(std::string_view name, std::string_view realm, std::string_view algorithm,
                   std::string_view ha1);
  bool remove(std::string_view name, std::string_view realm, std::string_view algorithm);
  // Lines of `user:realm:algorithm:ha1` in a file of mode 0600, as `sluice passwd --digest` makes
  // them: all of them or none.
  Result<void> load(const std::string& file);
  // The users of another list in the place of all that it has.
  void assign(const DigestUserList& other);
  std::size_t size() const;

  // Whether it is the same list.
  friend bool operator==(const DigestUserList& a, const DigestUserList& b) {
    return a.shared_ == b.shared_;
  }

 private:
  friend class Server;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

struct BasicAuthentication {
  bool enabled = false;
  // How long credentials that were right are not verified again; 0: each time.
  std::chrono::seconds cache_ttl{300};

  friend bool operator==(const BasicAuthentication&, const BasicAuthentication&) = default;
};

struct DigestAuthentication {
  bool enabled = false;
  bool allow_md5 = false;               // for clients that know no SHA-256
  std::chrono::seconds nonce_ttl{300};  // then the client gets a new nonce, without asking its user
  DigestUserList users;

  friend bool operator==(const DigestAuthentication&, const DigestAuthentication&) = default;
};

enum class TokenAlgorithm : std::uint8_t { hs256, rs256, es256, eddsa };

struct BearerAuthentication {
  bool enabled = false;
  // A token of another algorithm is refused. hs256 must be named: whoever verifies with a shared
  // secret could sign with it, too.
  std::vector<TokenAlgorithm> algorithms = {TokenAlgorithm::rs256, TokenAlgorithm::es256,
                                            TokenAlgorithm::eddsa};
  std::string issuer = {};  // empty: any
  // Who we are: a token must name one of these, and with none it must not name anybody.
  std::vector<std::string> audience = {};
  std::chrono::seconds clock_skew{60};  // how far clocks may be apart
  bool require_expiry = true;           // a token without `exp` is refused
  // Keys; at least one. Read at start, and by Server::apply().
  std::vector<std::string> key_files = {};  // a public key in PEM each
  std::string jwks_file = {};               // a JWK Set; with a secret in it the mode must be 0600
  std::string secret = {};                  // of HS256: 32 bytes or more

  friend bool operator==(const BearerAuthentication&, const BearerAuthentication&) = default;
};

// A token that stands for a user once: `GET /sgc/req/auth/session/USER/PASSWORD` answers it as
// text, `POST /auth/session` does with a form body (user=...&password=...), and
// `/sgc/auth/session/TOKEN[/rest]` is `/rest` (or `/`) for that user, from the same address.
struct SessionAuthentication {
  bool enabled = false;
  std::chrono::seconds ttl{60};

  friend bool operator==(const SessionAuthentication&, const SessionAuthentication&) = default;
};

// `/sgc/auth/url/USER/PASSWORD[/rest]` is `/rest`, or `/`, for that user.
struct UrlAuthentication {
  bool enabled = false;

  friend bool operator==(const UrlAuthentication&, const UrlAuthentication&) = default;
};

// What happens to an address that fails again and again. An IPv6 address counts as its /64.
struct AuthenticationFailures {
  std::uint32_t free = 5;                      // failures that cost nothing
  std::uint32_t refuse_after = 20;             // so many, and the address gets 429; 0: never
  std::chrono::milliseconds first_delay{250};  // of the answer behind the free ones; then doubled
  std::chrono::milliseconds most_delay{4000};
  std::chrono::seconds refuse_for{300};
  std::chrono::seconds forget_after{900};  // without a failure

  friend bool operator==(const AuthenticationFailures&, const AuthenticationFailures&) = default;
};

struct Authentication {
  bool enabled = false;
  std::string realm = "Sluice";  // 1 to 255 bytes of UTF-8
  // Who has no credentials passes as nobody; wrong ones still fail.
  bool allow_non_auth = false;
  // Prefixes of the document, each with all below it ("/admin" and "/admin/" are the same). Empty:
  // everything.
  std::vector<std::string> paths = {};
  BasicAuthentication basic;
  DigestAuthentication digest;
  BearerAuthentication bearer;
  SessionAuthentication session;
  UrlAuthentication url;
  UserList users;
  std::uint32_t parallel = 2;   // passwords that are verified at a time, off the shards
  std::uint32_t waiting = 256;  // more than these wait: 503, reason AuthBusy
  AuthenticationFailures failures;

  friend bool operator==(const Authentication&, const Authentication&) = default;
};

// An answer of on_authentication_async. Move-only; answered once, from any thread. Destroyed
// unanswered, it refuses.
class SLUICE_API AuthenticationReply {
 public:
  AuthenticationReply() = default;
  // `known`: what authenticated() says; `told` is called once.
  AuthenticationReply(bool known, std::function<void(bool)> told)
      : known_(known), told_(std::move(told)) {}
  AuthenticationReply(AuthenticationReply&& other) noexcept;
  AuthenticationReply& operator=(AuthenticationReply&& other) noexcept;
  ~AuthenticationReply();

  // Whether the password is that of a user of authentication.users.
  bool authenticated() const { return known_; }
  // Errc::none, or already_replied.
  Errc accept() { return answer(true); }
  Errc refuse() { return answer(false); }

 private:
  Errc answer(bool authenticated);
  bool known_ = false;
  std::function<void(bool)> told_;
};

}  // namespace sluice

// fuzz/auth/auth_credentials_fuzz.cpp - an Authorization field is read inside its bounds, and means
// the same when it is written again.
//
// Layer: fuzz.
#include <algorithm>
#include <string>

#include "crypto/password.hpp"
#include "http/expect.hpp"
#include "proto/auth/basic.hpp"
#include "proto/auth/challenge.hpp"
#include "proto/auth/digest.hpp"

using namespace sluice;
using http::is_inside;

namespace {

// With every value quoted.
std::string written(const auth::Credentials& credentials) {
  std::string field(credentials.scheme);
  field += ' ';
  if (!credentials.token68.empty()) return field.append(credentials.token68);
  for (const auth::AuthParam& param : credentials.params) {
    field.append(param.name).append("=\"");
    for (const char c : param.value) {
      if (c == '"' || c == '\\') field += '\\';
      field += c;
    }
    field += "\",";
  }
  return field;
}

void expect_same_again(const auth::Credentials& credentials) {
  const std::string field = written(credentials);
  if (field.size() > auth::kMostCredentialsBytes) return;
  const auto again = auth::read_credentials(field);
  EXPECT_THAT(again.has_value());
  EXPECT_THAT(again->scheme == credentials.scheme && again->token68 == credentials.token68);
  EXPECT_THAT(again->params.size() == credentials.params.size());
  for (std::size_t i = 0; i < credentials.params.size(); ++i) {
    EXPECT_THAT(again->params[i].name == credentials.params[i].name);
    EXPECT_THAT(again->params[i].value == credentials.params[i].value);
  }
}

void expect_schemes(const auth::Credentials& credentials) {
  if (const auto basic = auth::read_basic(credentials)) {
    EXPECT_THAT(auth::is_user_name(basic->user));
    EXPECT_THAT(basic->user.find(':') == std::string::npos);
    EXPECT_THAT(basic->password.size() <= crypto::kMostPasswordBytes);
    EXPECT_THAT(auth::has_no_controls(basic->password.view()));
  }
  if (const auto token = auth::read_bearer(credentials)) {
    EXPECT_THAT(!token->empty() && credentials.params.empty());
  }
  const auto digest = auth::read_digest(credentials, true);
  const auto strict = auth::read_digest(credentials, false);
  EXPECT_THAT(digest || !strict);
  if (!digest) return;
  EXPECT_THAT(auth::is_user_name(digest->user) && digest->count > 0);
  EXPECT_THAT(strict.has_value() == (digest->algorithm == auth::DigestAlgorithm::sha256));
  // The response that would be right is right.
  auth::DigestCredentials right = *digest;
  const auto response = auth::digest_response(right, "ha1", "GET");
  EXPECT_THAT(response && auth::is_digest_hex(right.algorithm, *response));
  right.response = *response;
  EXPECT_THAT(auth::is_right(right, "ha1", "GET"));
  EXPECT_THAT(!auth::is_right(right, "ha2", "GET"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view field = http::text_of(data, size);
  const auto credentials = auth::read_credentials(field);
  if (auth::is_realm(field)) {  // a challenge has the form of credentials
    const std::string text = auth::basic_challenge(field);
    const auto challenge = auth::read_credentials(text);
    EXPECT_THAT(challenge && *challenge->find("realm") == field);
  }
  if (!credentials) return 0;
  EXPECT_THAT(is_inside(credentials->scheme, field) && is_inside(credentials->token68, field));
  EXPECT_THAT(credentials->token68.empty() || credentials->params.empty());
  EXPECT_THAT(credentials->params.size() <= auth::kMostAuthParams);
  for (const auth::AuthParam& param : credentials->params) {
    EXPECT_THAT(is_inside(param.name, field) && param.value.size() <= field.size());
    EXPECT_THAT(credentials->find(param.name) == &param.value);
  }
  expect_same_again(*credentials);
  expect_schemes(*credentials);
  return 0;
}

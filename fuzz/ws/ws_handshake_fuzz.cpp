// fuzz/ws/ws_handshake_fuzz.cpp - any fields as an opening handshake.
//
// RFC 6455 section 4.2. Layer: tests. The first byte chooses the rules and the kind of request;
// each line behind it is one field, `name:value`. A line `:text` is an allowed origin, a line
// without a colon a supported protocol.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "proto/ws/handshake.hpp"

namespace {

namespace http = sluice::http;
using sluice::Errc;

struct Input {
  http::RequestHead head;
  std::vector<std::string> origins, protocols;
};

Input read(std::string_view text) {
  Input input;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      input.protocols.emplace_back(line);
    } else if (colon == 0) {
      input.origins.emplace_back(line.substr(1));
    } else {
      http::Field field{line.substr(0, colon), line.substr(colon + 1), http::FieldId::other};
      field.id = http::field_id(field.name);
      if (field.id == http::FieldId::host) input.head.host = field.value;
      input.head.fields.push_back(field);
    }
  }
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  Input input = read({reinterpret_cast<const char*>(data) + 1, size - 1});
  http::RequestHead& head = input.head;
  head.method = (choice & 1) != 0 ? http::Method::post : http::Method::get;
  head.minor = (choice & 2) != 0 ? 0 : 1;
  head.body = (choice & 4) != 0 ? http::BodyKind::chunked : http::BodyKind::none;
  sluice::ws::HandshakeRules rules;
  rules.origins = input.origins;
  const Errc strict = sluice::ws::judge(head, rules);
  rules.validate_key = rules.enforce_version = false;
  const Errc loose = sluice::ws::judge(head, rules);
  if (strict == Errc::none) SLUICE_CHECK(loose == Errc::none);
  if (loose == Errc::none) SLUICE_CHECK(sluice::ws::is_upgrade(head) && (choice & 7) == 0);
  if (strict != Errc::none) {
    const int wire = sluice::info(strict).wire;
    SLUICE_CHECK(wire == 400 || wire == 403 || wire == 426);
  }

  const std::string_view offered = head.find(http::FieldId::sec_websocket_protocol);
  const std::string_view chosen = sluice::ws::choose_protocol(offered, input.protocols);
  if (!chosen.empty()) {
    SLUICE_CHECK(offered.find(chosen) != std::string_view::npos);
    SLUICE_CHECK(std::find(input.protocols.begin(), input.protocols.end(), chosen) !=
                 input.protocols.end());
  }
  const auto accept = sluice::ws::accept_value(head.find(http::FieldId::sec_websocket_key));
  SLUICE_CHECK(accept.back() == '=' && accept[26] != '=');
  return 0;
}

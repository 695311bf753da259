// api/settings.hpp - what settings may be, what the core takes of them, and what may change.
//
// Layer: api. Thread: any.
#pragma once

#include <sluice/api_keys.hpp>
#include <sluice/server.hpp>

#include "core/session.hpp"

namespace sluice::api {

// Errors: bad_setting, with the setting's name and what it must be.
Result<void> check_settings(const Settings& settings);
// Whether a server that was started with `before` can go on with `next`. Errors: bad_setting, with
// the name of what needs a restart.
Result<void> check_change(const Settings& before, const Settings& next);

// Errors: bad_setting, in words that begin with the member.
Result<void> check_api_keys(const ApiKeySettings& settings);
// The settings of authentication, with the files that they name: waits for a disk. Errors:
// bad_setting, with the setting's name.
// Of ForwardOptions; bad_setting and invalid_argument, in words.
Result<void> check_upstream(std::string_view url);
Result<void> check_network(std::string_view text);
Result<void> check_name_server(const std::string& server);
Result<void> check_authentication(const Authentication& settings);

// Of ContentCodingOptions: what may stand in `codings` and in `types`.
bool is_content_coding(std::string_view name);
bool is_type_pattern(std::string_view text);
// One encoder of each kind, and of some a second one.
inline constexpr std::size_t kLeastEncoderBytes = std::size_t{4} << 20;

// What stands in a file of mode 0600, without line ends behind it. Errors name the file.
Result<std::string> read_secret(const std::string& file);

core::SessionSettings session_settings(const Settings& settings);

}  // namespace sluice::api

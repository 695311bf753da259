// config/text_checks.hpp - whether a text of the file can be what it is meant to be.
//
// Each answers what to write instead, or nothing. Layer: config.
#pragma once

#include <string>
#include <string_view>

namespace sluice::config {

std::string any_text(std::string_view text);
std::string is_host(std::string_view text);
std::string is_prefix(std::string_view text);  // of URLs
std::string is_path(std::string_view text);    // or empty
std::string is_files_prefix(std::string_view text);
std::string is_upload_prefix(std::string_view text);
std::string is_document(std::string_view text);  // with what lies below it
std::string is_token(std::string_view text);     // a sub-protocol
std::string is_origin(std::string_view text);
std::string is_field_name(std::string_view text);  // or empty
std::string is_field_value(std::string_view text);
std::string is_parameter(std::string_view text);  // of a query, or empty
std::string is_directory(std::string_view text);
std::string is_file(std::string_view text);  // or empty
std::string is_file_name(std::string_view text);
std::string is_thumbprint(std::string_view text);  // of a certificate, or empty
std::string is_realm(std::string_view text);
std::string is_secret(std::string_view text);  // of HS256, or empty
std::string is_scope(std::string_view text);   // or empty
std::string is_name(std::string_view text);    // of a URL group
std::string is_upstream(std::string_view text);
std::string is_network(std::string_view text);
std::string is_name_server(std::string_view text);
std::string is_content_coding(std::string_view text);
std::string is_type_pattern(std::string_view text);  // of media types
std::string is_policy(std::string_view text);        // the name of a rate limit

}  // namespace sluice::config

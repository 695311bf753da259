// service/upload/answer.cpp - see answer.hpp.
#include "service/upload/answer.hpp"

#include <string_view>

#include "proto/ws/utf8.hpp"

namespace sluice::service {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// JSON is UTF-8: of what is not, each byte beyond ASCII becomes U+FFFD.
void append_text(std::string& out, std::string_view text) {
  const bool is_utf8 = ws::is_utf8(as_bytes(text));
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15]});
    } else if (byte > 0x7F && !is_utf8) {
      out.append("\uFFFD");
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace

std::string told_of(const std::vector<UploadedFile>& files) {
  std::string out = "{\"files\": [";
  bool first = true;
  for (const UploadedFile& file : files) {
    if (file.path.empty()) continue;  // a field of files in which none was chosen
    out.append(first ? "{\"name\": " : ", {\"name\": ");
    first = false;
    append_text(out, file.name);
    out.append(", \"file_name\": ");
    append_text(out, file.file_name);
    out.append(", \"stored\": ");
    append_text(out, std::string_view(file.path).substr(file.path.rfind('/') + 1));
    out.append(", \"size\": ").append(std::to_string(file.size)).append("}");
  }
  return out.append("]}\n");
}

}  // namespace sluice::service

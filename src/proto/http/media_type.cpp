// proto/http/media_type.cpp - the built-in table, mime.types, and the quality of a coding.
//
// RFC 9110 sections 8.3.1 and 12.5.3. Layer: proto. No I/O. Thread: any.
#include "proto/http/media_type.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "proto/http/quality.hpp"
#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

constexpr std::string_view kUnknown = "application/octet-stream";
constexpr std::size_t kLongestExtension = 32;

// A table like mime.types itself.
constexpr std::string_view kBuiltIn = R"(
text/html html htm
text/css css
text/javascript js mjs cjs
text/plain txt text log conf ini cfg diff patch
text/markdown md markdown
text/csv csv
text/tab-separated-values tsv
text/calendar ics
text/vcard vcf
text/vtt vtt
text/x-c c h cc cpp hpp
application/json json map
application/ld+json jsonld
application/geo+json geojson
application/manifest+json webmanifest
application/wasm wasm
application/xml xml xsl
application/xhtml+xml xhtml xht
application/rss+xml rss
application/atom+xml atom
application/toml toml
application/yaml yaml yml
application/sql sql
application/rtf rtf
application/pdf pdf
application/postscript ps eps
application/epub+zip epub
application/zip zip
application/gzip gz tgz
application/x-tar tar
application/x-bzip2 bz2
application/x-xz xz
application/zstd zst
application/x-7z-compressed 7z
application/vnd.rar rar
application/java-archive jar
application/vnd.debian.binary-package deb
application/x-rpm rpm
application/vnd.android.package-archive apk
application/x-iso9660-image iso
application/msword doc
application/vnd.ms-excel xls
application/vnd.ms-powerpoint ppt
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.presentation odp
application/vnd.apple.mpegurl m3u8
application/dash+xml mpd
application/octet-stream bin exe dll so dmg img
image/svg+xml svg
image/png png
image/apng apng
image/jpeg jpg jpeg jfif
image/gif gif
image/webp webp
image/avif avif
image/jxl jxl
image/bmp bmp
image/tiff tif tiff
image/vnd.microsoft.icon ico cur
font/woff woff
font/woff2 woff2
font/ttf ttf
font/otf otf
font/collection ttc
audio/mpeg mp3
audio/mp4 m4a
audio/aac aac
audio/ogg ogg oga opus
audio/wav wav
audio/flac flac
audio/webm weba
audio/midi mid midi
video/mp4 mp4 m4v
video/webm webm
video/ogg ogv
video/mpeg mpeg mpg
video/mp2t ts m2ts
video/quicktime mov
video/x-msvideo avi
video/x-matroska mkv
model/gltf+json gltf
model/gltf-binary glb
)";

std::string lower_copy(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

// What goes into a field must be fit for one: `type/subtype`, both tokens.
bool is_media_type(std::string_view text) {
  std::size_t slash = text.find('/');
  return slash != std::string_view::npos && is_token(text.substr(0, slash)) &&
         is_token(text.substr(slash + 1));
}

}  // namespace

MediaTypes::MediaTypes() { add_table(kBuiltIn); }

void MediaTypes::add_table(std::string_view mime_types) {
  Table added;
  while (!mime_types.empty()) {
    std::string_view line = take_until(mime_types, "\n");
    line = line.substr(0, line.find_first_of("#\r"));
    line = trim_ows(line);
    std::string_view name = take_until(line, " \t");
    if (!is_media_type(name)) continue;
    std::string type = lower_copy(name);
    if (type.starts_with("text/")) type += "; charset=utf-8";
    while (!line.empty()) {
      std::string_view extension = take_until(line, " \t");
      if (extension.empty() || extension.size() > kLongestExtension) continue;
      added.try_emplace(lower_copy(extension), type);
    }
  }
  added.reserve(added.size() + by_extension_.size());  // nothing below throws
  added.merge(by_extension_);
  by_extension_ = std::move(added);
}

std::string_view MediaTypes::of(std::string_view file_name) const {
  std::size_t dot = file_name.find_last_of("./");
  if (dot == std::string_view::npos || file_name[dot] == '/') return kUnknown;
  std::string_view extension = file_name.substr(dot + 1);
  if (extension.size() > kLongestExtension) return kUnknown;
  std::array<char, kLongestExtension> name{};
  std::transform(extension.begin(), extension.end(), name.begin(), [](char c) { return lower(c); });
  auto found = by_extension_.find(std::string_view(name.data(), extension.size()));
  return found == by_extension_.end() ? kUnknown : std::string_view(found->second);
}

int coding_quality(std::string_view accept_encoding, bool present, std::string_view coding) {
  coding = current_coding_name(coding);
  const bool identity = equal_nocase(coding, "identity");
  if (!present) return identity ? 1000 : 0;
  std::optional<int> rest;  // what `*` says
  std::string_view name;
  int quality = 0;
  while (next_weighted(accept_encoding, name, quality)) {
    name = current_coding_name(name);
    if (equal_nocase(name, coding)) return quality;
    if (name == "*" && !rest) rest = quality;
  }
  return rest.value_or(identity ? 1000 : 0);
}

}  // namespace sluice::http

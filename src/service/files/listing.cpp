// service/files/listing.cpp - reads a directory and writes HTML.
//
// Layer: service. Thread: the file pool's.
#include "service/files/listing.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <tuple>

#include "proto/http/date.hpp"
#include "service/files/file_path.hpp"
#include "service/files/file_version.hpp"
#include "service/files/found.hpp"

namespace sluice::service {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}"
    "th{text-align:left;font-weight:600}td,th{padding:.2rem .5rem;border-bottom:1px solid #8884}"
    "td:first-child{overflow-wrap:anywhere}"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "a{text-decoration:none}a:hover{text-decoration:underline}:root{color-scheme:light dark}";

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// "2026-11-22 14:03:59", from "Sun, 22 Nov 2026 14:03:59 GMT".
void append_date(std::string& out, std::int64_t seconds) {
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char text[http::kDateSize];
  http::write_date(text, seconds);
  const std::string_view date(text, sizeof text);
  const std::size_t month = months.find(date.substr(8, 3)) / 3 + 1;
  out.append(date.substr(12, 4)).append(month < 10 ? "-0" : "-").append(std::to_string(month));
  out.append("-").append(date.substr(5, 2)).append(" ").append(date.substr(17, 8));
}

// Fills `entry` for a name. False: nothing that could be fetched.
bool examine(int directory, const ListingScope& scope, ListingEntry& entry) {
  struct stat status {};
  if (::fstatat(directory, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (S_ISLNK(status.st_mode)) {
    const core::OpenFile target(::openat(directory, entry.name.c_str(), O_PATH | O_CLOEXEC));
    if (target.fd < 0 || ::fstat(target.fd, &status) != 0) return false;
    if (scope.containment != nullptr && !scope.containment->contains(target.fd)) return false;
  }
  entry.directory = S_ISDIR(status.st_mode);
  if (!entry.directory && !S_ISREG(status.st_mode)) return false;
  const FileFacts facts = facts_of(status);
  entry.size = facts.size;
  entry.modified = static_cast<std::int64_t>(status.st_mtim.tv_sec);
  return true;
}

void append_row(std::string& page, const ListingEntry& entry) {
  const std::string_view slash = entry.directory ? "/" : "";
  page += "<tr><td>";
  const bool linked = is_requestable(entry.name);
  if (linked) {
    page.append("<a href=\"").append(encode_name(entry.name)).append(slash).append("\">");
  }
  page.append(escape_html(entry.name)).append(slash);
  if (linked) page += "</a>";
  page += "</td><td class=\"n\">";
  if (!entry.directory) page += std::to_string(entry.size);
  page += "</td><td class=\"n\">";
  append_date(page, entry.modified);
  page += "</td></tr>\n";
}

}  // namespace

Result<std::string> make_listing(int fd, const ListingScope& scope) {
  const int readable = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (readable < 0) return file_error(errno, scope.title);
  std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(readable));
  if (!directory) {
    ::close(readable);
    return Error(Errc::out_of_memory);
  }
  std::vector<ListingEntry> entries;
  bool cut = false;
  while (const dirent* item = ::readdir(directory.get())) {
    ListingEntry entry;
    entry.name = item->d_name;
    if (entry.name == "." || entry.name == "..") continue;
    if (entry.name.front() == '.' && !scope.hidden_files) continue;
    if (!examine(readable, scope, entry)) continue;
    if (entries.size() == kListingEntries) {
      cut = true;
      break;
    }
    entries.push_back(std::move(entry));
  }
  return listing_page(scope.title, scope.has_parent, std::move(entries), cut);
}

std::string listing_page(std::string_view title, bool has_parent, std::vector<ListingEntry> entries,
                         bool cut) {
  std::sort(entries.begin(), entries.end(), [](const ListingEntry& a, const ListingEntry& b) {
    return std::tie(b.directory, a.name) < std::tie(a.directory, b.name);
  });
  const std::string shown = escape_html(title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width\">\n";
  page.append("<title>Index of ").append(shown).append("</title>\n<style>").append(kStyle);
  page.append("</style>\n</head>\n<body>\n<h1>Index of ").append(shown).append("</h1>\n<table>\n");
  page += "<tr><th>Name</th><th class=\"n\">Bytes</th><th class=\"n\">Changed (UTC)</th></tr>\n";
  if (has_parent) page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  for (const ListingEntry& entry : entries) append_row(page, entry);
  page += "</table>\n";
  if (cut) {
    page.append("<p>Only ")
        .append(std::to_string(entries.size()))
        .append(" entries are shown.</p>\n");
  }
  page += "</body>\n</html>\n";
  return page;
}

}  // namespace sluice::service

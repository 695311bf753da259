// service/upload/uploads.cpp - which bodies go to the disk, and what is told of them.
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "core/exchange.hpp"
#include "core/shard.hpp"
#include "proto/multipart/boundary.hpp"
#include "service/files/file_path.hpp"
#include "service/upload/answer.hpp"
#include "service/upload/file_name.hpp"
#include "service/upload/upload.hpp"

namespace sluice::service {
namespace {

Result<void> open_one(const std::string& named, const std::string& folder) {
  struct stat status {};
  const bool exists = ::stat(folder.c_str(), &status) == 0;
  int number = exists ? 0 : errno;
  if (exists && !S_ISDIR(status.st_mode)) number = ENOTDIR;
  if (number == 0 && ::access(folder.c_str(), W_OK | X_OK) != 0) number = errno;
  if (number != 0) {
    return Error(Errc::bad_setting, named + ": the directory \"" + folder + "\" cannot be used: " +
                                        std::system_category().message(number));
  }
  StoredFile::remove_left(folder);
  return {};
}

}  // namespace

std::string Uploads::made_up_name() {
  std::uint64_t random = 0;
  SLUICE_CHECK(getrandom(&random, sizeof random, 0) == ssize_t(sizeof random));
  char text[40];
  std::snprintf(text, sizeof text, "upload-%016llx", static_cast<unsigned long long>(random));
  return text;
}

Uploads::Uploads(HttpUploadFiles settings, UploadEvents events, core::BodySource& disk)
    : settings_(std::move(settings)),
      rules_{settings_.save_directory, settings_.existing, {}, settings_.remove_boundaries, {}},
      events_(std::move(events)),
      disk_(disk) {}

Result<void> Uploads::open_folder() const {
  if (settings_.stream_type != UploadStream::file) return {};
  return open_one("http_upload_files.save_directory", rules_.folder);
}

Result<core::SinkMaker> Uploads::add(const std::string& prefix, const std::string& folder,
                                     const UploadOptions& options) {
  if (auto opened = open_one("upload \"" + prefix + "\"", folder); !opened) return opened.error();
  prefixes_.push_back(std::make_unique<const UploadRules>(
      UploadRules{folder, options.existing, options.file_bytes, true, prefix}));
  return core::SinkMaker([this, &rules = *prefixes_.back()](core::Exchange& exchange) {
    return open(exchange, rules);
  });
}

std::unique_ptr<core::BodySink> Uploads::open(core::Exchange& exchange) {
  if (settings_.stream_type != UploadStream::file) return nullptr;
  const http::RequestHead& head = exchange.head;
  if (head.method != http::Method::post && head.method != http::Method::put) return nullptr;
  if (head.body == http::BodyKind::length && head.content_length < settings_.min_size) {
    return nullptr;
  }
  return open(exchange, rules_);
}

// What the head says already is judged before the body is read.
std::unique_ptr<core::BodySink> Uploads::open(core::Exchange& exchange, const UploadRules& rules) {
  core::ServerSession& session = exchange.shard.session;
  const auto refuse = [&](Errc code) {
    session.respond_error(exchange, code);
    return nullptr;
  };
  const http::RequestHead& head = exchange.head;
  // A piece of a file would take the place of the whole (RFC 9110, section 14.5). A handler may
  // know what to do with one.
  if (!rules.prefix.empty() && head.method == http::Method::put &&
      !head.find("content-range").empty()) {
    return refuse(Errc::http_bad_range);
  }
  const std::string_view type = head.find(http::FieldId::content_type);
  if (rules.parts && multipart::is_form_data(type)) {
    const auto boundary = multipart::boundary_of(type);
    if (!boundary) return refuse(Errc::multipart_bad_boundary);
    return std::make_unique<Upload>(*this, rules, exchange.shard, *boundary, std::string());
  }
  std::string_view rest;  // of the path, behind the prefix
  if (!rules.prefix.empty()) {
    rest = exchange.document;
    rest.remove_prefix(std::min(rest.size(), rules.prefix.size()));
  }
  std::string name;
  if (rest.empty()) {
    name = made_up_name();
  } else {
    auto path = file_path(rest, true);
    if (!path || path->directory || path->name.find('/') != std::string::npos) {
      return refuse(Errc::upload_bad_name);
    }
    name = std::move(path->name);
  }
  if (!events_.before_save) {
    auto safe = safe_file_name(name);
    if (!safe) return refuse(safe.error().code);
  }
  const auto& most =
      rules.file_bytes ? rules.file_bytes : exchange.shard.settings().limits.upload_file_bytes;
  if (most && head.body == http::BodyKind::length && head.content_length > *most) {
    return refuse(Errc::upload_file_too_large);
  }
  return std::make_unique<Upload>(*this, rules, exchange.shard, std::string_view(),
                                  std::move(name));
}

void Uploads::answer(core::Exchange& exchange) {
  std::string text = told_of(exchange.form ? exchange.form->files : std::vector<UploadedFile>());
  exchange.answer.clear();
  exchange.answer.status = 201;
  exchange.answer.text = std::move(text);
  exchange.answer.type = "application/json";
  exchange.answer.has_type = true;
  exchange.shard.session.respond(exchange);
}

}  // namespace sluice::service

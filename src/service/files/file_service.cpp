// service/files/file_service.cpp - remembered, looked up, answered.
//
// Layer: service. Thread: shards; look-ups on the file pool.
#include "service/files/file_service.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <new>
#include <sstream>
#include <utility>

#include "base/check.hpp"
#include "core/exchange.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "proto/http/field_rules.hpp"
#include "service/files/answer.hpp"
#include "service/files/post_back.hpp"
#include "service/files/stream_body.hpp"

namespace sluice::service {
namespace {

std::shared_ptr<const Root> application_root() {
  auto root = std::make_shared<Root>();
  root->options.hidden_files = true;
  root->options.follow_symlinks_out = true;
  return root;
}

// Connections need descriptors more than files do. The soft limit is raised to the hard one at
// start-up.
FileCacheLimits within_the_process(FileCacheLimits limits, std::size_t shards) {
  rlimit most{};
  if (::getrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_max == RLIM_INFINITY) return limits;
  const std::size_t share = most.rlim_max / 4 / std::max<std::size_t>(shards, 1);
  limits.descriptors = std::min(limits.descriptors, share);
  return limits;
}

FoundRef no_memory() {
  auto found = std::make_shared<Found>();
  found->error = Errc::out_of_memory;
  return found;
}

// What would be different a moment later without any change of a file is not remembered.
bool is_worth_keeping(const Found& found) {
  return found.kind != Found::Kind::failure ||
         (found.error != Errc::too_many_files && found.error != Errc::out_of_memory &&
          found.error != Errc::io_failed);
}

}  // namespace

http::MediaTypes system_media_types() {
  http::MediaTypes types;
  std::ifstream file("/etc/mime.types", std::ios::binary);
  if (file) {
    std::ostringstream text;
    text << file.rdbuf();
    types.add_table(text.str());
  }
  return types;
}

// One look-up that runs on the pool, and who waits for it.
struct FileService::Load {
  std::shared_ptr<const Root> root;
  std::string key;  // the path as it was asked for
  FilePath path;
  FoundRef previous, found;
  bool hot = false;
  base::Instant asked{};                 // no later than the look-up
  std::vector<core::Exchange*> waiting;  // shard only; each is held

  FileKey file_key() const { return {root->id, key}; }
};

struct FileService::KnownToShard {
  explicit KnownToShard(const FileCacheLimits& limits) : cache(limits) {}
  FileCache cache;
  // Keys point into the loads.
  std::unordered_map<FileKey, std::shared_ptr<Load>, FileKeyHash> loads;
};

FileService::FileService(std::size_t shards, Submit submit, Log log, http::MediaTypes types,
                         FileCacheLimits limits)
    : submit_(std::move(submit)),
      log_(std::move(log)),
      types_(std::move(types)),
      application_(application_root()),
      no_memory_(no_memory()) {
  const FileCacheLimits bounds = within_the_process(limits, shards);
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<KnownToShard>(bounds));
  }
}

FileService::~FileService() = default;

FileService::KnownToShard& FileService::of(const core::Shard& shard) const {
  SLUICE_CHECK(shard.index < shards_.size());
  return *shards_[shard.index];
}

const FileCache& FileService::cache(const core::Shard& shard) const { return of(shard).cache; }

Result<core::ExchangeHandler> FileService::directory(std::string prefix, std::string_view root,
                                                     FilesOptions options) {
  const auto refuse = [&](Errc code, const std::string& why) {
    return Error(code, "files \"" + prefix + "\": " + why);
  };
  if (prefix.empty() || prefix.front() != '/' || prefix.back() != '/') {
    return refuse(Errc::bad_setting, "the prefix must begin and end with a slash");
  }
  if (!http::is_value(options.cache_control)) {
    return refuse(Errc::bad_setting, "cache_control holds a control character");
  }
  if (options.index.find('/') != std::string::npos) {
    return refuse(Errc::bad_setting, "index must be a file's name, not a path");
  }
  const std::string named = "the directory \"" + std::string(root) + "\" ";
  std::error_code wrong;
  const std::filesystem::path absolute = std::filesystem::absolute(root, wrong);
  if (root.empty() || wrong)
    return refuse(Errc::not_found, named + "has no name that could be used");
  struct stat status {};
  if (::stat(absolute.c_str(), &status) != 0) {
    const int number = errno;
    const bool missing = number == ENOENT || number == ENOTDIR;
    return refuse(missing ? Errc::not_found : file_error(number, {}).code,
                  named + (missing ? "does not exist; create it or name another"
                                   : "cannot be used: " + file_error(number, "stat").detail));
  }
  if (!S_ISDIR(status.st_mode)) return refuse(Errc::not_found, named + "is not a directory");
  if (::access(absolute.c_str(), X_OK) != 0) {
    return refuse(Errc::permission_denied, named + "may not be entered by this user");
  }
  auto served = std::make_shared<Root>();
  served->id = roots_++;
  served->prefix = std::move(prefix);
  served->directory = absolute.string();
  served->options = std::move(options);
  return core::ExchangeHandler(
      [this, shared = std::shared_ptr<const Root>(std::move(served))](core::Exchange& exchange) {
        const http::Method method = exchange.head.method;
        if (method != http::Method::get && method != http::Method::head) {
          exchange.set_error(Errc::http_method_not_allowed);
          exchange.add_field_unchecked("Allow", "GET, HEAD");
          exchange.shard.session.respond(exchange);
          return;
        }
        const std::string_view document = exchange.document;
        if (document.starts_with(shared->prefix)) {
          serve(exchange, shared, document.substr(shared->prefix.size()));
          return;
        }
        // The prefix itself without its slash is a directory like any other.
        Found redirect;
        redirect.kind =
            document.size() + 1 == shared->prefix.size() && shared->prefix.starts_with(document)
                ? Found::Kind::redirect
                : Found::Kind::failure;
        answer(exchange, *shared, redirect);
      });
}

void FileService::respond_file(core::Exchange& exchange) {
  serve(exchange, application_, exchange.answer.extras().file);
}

void FileService::serve(core::Exchange& exchange, const std::shared_ptr<const Root>& root,
                        std::string_view path) {
  exchange.answer.leave_cache();  // files have their own
  core::Shard& shard = exchange.shard;
  KnownToShard& known = of(shard);
  const FileKey key{root->id, path};
  const FoundRef* found = known.cache.find(key);
  const base::Duration age = found ? shard.now - (*found)->checked : base::Duration::max();
  try {
    if (age < kFresh) {
      const FoundRef& good = *found;
      if (good->wants_memory && ++good->hits >= kHot && !known.loads.contains(key)) {
        good->hits = 0;
        if (auto load = make_load(root, path, good)) {
          load->hot = true;
          start(shard, std::move(load));
        }
      }
      return answer(exchange, *root, *good);
    }
    if (age < kStale) {
      const FoundRef still_good = *found;
      if (!known.loads.contains(key)) {
        // Refused: it is asked again before the second is over.
        if (auto load = make_load(root, path, still_good)) start(shard, std::move(load));
      }
      return answer(exchange, *root, *still_good);
    }
    const auto pending = known.loads.find(key);
    if (pending != known.loads.end() && pending->second->asked + kStale > shard.now) {
      pending->second->waiting.push_back(&exchange);
      exchange.retain();
      return;
    }
    auto load = make_load(root, path, found ? *found : nullptr);
    if (!load) return answer(exchange, *root, Found{});
    load->waiting.push_back(&exchange);
    if (start(shard, std::move(load))) {
      exchange.retain();
    } else {
      shard.session.respond_error(exchange, Errc::queue_full);
    }
  } catch (const std::bad_alloc&) {
    if (exchange.port != nullptr) exchange.port->break_off(exchange, Errc::out_of_memory);
  }
}

// Null when the path names no file.
std::shared_ptr<FileService::Load> FileService::make_load(const std::shared_ptr<const Root>& root,
                                                          std::string_view path,
                                                          const FoundRef& previous) {
  auto load = std::make_shared<Load>();
  load->root = root;
  load->key = path;
  load->previous = previous;
  if (root->is_application()) {
    load->path = {load->key, false};
  } else if (auto name = file_path(path, root->options.hidden_files)) {
    load->path = std::move(*name);
  } else {
    return nullptr;
  }
  return load;
}

void FileService::answer(core::Exchange& exchange, const Root& root, const Found& found) {
  try {
    if (found.kind == Found::Kind::failure && found.error == Errc::io_failed && log_) {
      log_(LogLevel::error, found.error, found.detail);
    }
    answer_found(exchange, root, found);
  } catch (const std::bad_alloc&) {
    if (exchange.port != nullptr) exchange.port->break_off(exchange, Errc::out_of_memory);
    return;
  }
  exchange.shard.session.respond(exchange);
}

// Throws std::bad_alloc before the load was taken, never afterwards.
bool FileService::start(core::Shard& shard, std::shared_ptr<Load> load) {
  load->asked = shard.now;
  auto& loads = of(shard).loads;
  // A look-up that was begun too long ago is left to those who wait for it.
  loads.erase(load->file_key());
  const auto place = loads.emplace(load->file_key(), load).first;
  bool taken = false;
  try {
    taken = submit_([this, load, &shard, mailbox = shard.mailbox]() mutable {
      try {
        load->found =
            look_up(*load->root, load->path, types_, load->previous, load->asked, load->hot);
      } catch (...) {
        load->found = no_memory_;
      }
      post_back(*mailbox, [this, load = std::move(load), &shard] { finish(shard, load); });
    });
  } catch (const std::bad_alloc&) {
  }
  if (!taken) loads.erase(place);
  return taken;
}

void FileService::finish(core::Shard& shard, const std::shared_ptr<Load>& load) {
  KnownToShard& known = of(shard);
  if (auto place = known.loads.find(load->file_key());
      place != known.loads.end() && place->second == load) {
    known.loads.erase(place);
    if (is_worth_keeping(*load->found)) known.cache.put(load->file_key(), load->found);
  }
  for (core::Exchange* exchange : load->waiting) {
    core::step(*exchange, [&] {
      if (exchange->port == nullptr || exchange->answered) return;
      answer(*exchange, *load->root, *load->found);
    });
    exchange->release();
  }
}

void FileService::respond_stream(core::Exchange& exchange) {
  std::shared_ptr<StreamBody> body;
  try {
    body = std::make_shared<StreamBody>(exchange, submit_);
  } catch (const std::bad_alloc&) {
    exchange.port->break_off(exchange, Errc::out_of_memory);
    return;
  }
  exchange.stream_state = body;
  body->begin();
}

void FileService::stream_writable(core::Exchange& exchange) {
  // A use of its own: it may be over before this returns.
  if (auto body = std::static_pointer_cast<StreamBody>(exchange.stream_state)) body->writable();
}

void FileService::stream_aborted(core::Exchange& exchange) {
  if (auto body = std::static_pointer_cast<StreamBody>(exchange.stream_state)) body->aborted();
}

bool FileService::run_blocking(core::Shard& shard, base::Task work, base::Task done) {
  return submit_([mailbox = shard.mailbox, work = std::move(work),
                  done = std::make_shared<base::Task>(std::move(done))]() mutable {
    try {
      work();
    } catch (const std::bad_alloc&) {  // `done` finds nothing done, and says so
    }
    // It goes where it was made, too.
    post_back(*mailbox, [done = std::move(done)] {
      base::Task call = std::move(*done);
      call();
    });
  });
}

}  // namespace sluice::service

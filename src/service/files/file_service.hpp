// service/files/file_service.hpp - answers from files and from streams, so that no shard waits for
// a disk.
//
// A hot file is answered on the shard from what the shard remembers, without a system call and
// without an allocation. Everything else is looked up on the file pool and answered when the result
// comes back. What is remembered for more than half a second is looked up again behind the answer,
// what is older than a second before it: a change is noticed within a second.
//
// Layer: service. Thread: made and ended by the server; each member as it says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/server.hpp>
#include <sluice/settings.hpp>

#include "base/clock.hpp"
#include "base/task.hpp"
#include "core/router.hpp"
#include "core/session.hpp"
#include "proto/http/media_type.hpp"
#include "service/files/file_cache.hpp"
#include "service/files/found.hpp"

namespace sluice::service {

// The built-in media types and what the system's table says (/etc/mime.types, where there is one).
// Blocks.
http::MediaTypes system_media_types();

// Lifetime: outlives its shards, whose mailboxes hold its results, and the pool behind `submit`.
// The pool is ended before the shards are: then every exchange that waits here is let go by the
// last run of its shard's mailbox.
class FileService final : public core::BodySource {
 public:
  // Runs the task where waiting harms nobody. False when too much waits there, or it has ended: the
  // task is then dropped.
  using Submit = std::function<bool(base::Task)>;
  using Log = std::function<void(LogLevel, Errc, std::string_view)>;

  static constexpr base::Duration kFresh = std::chrono::milliseconds(500);
  static constexpr base::Duration kStale = std::chrono::seconds(1);
  // So many answers within kFresh make a file hot.
  static constexpr std::uint32_t kHot = 4;

  // `shards`: indexes of shards are below it. Of the descriptors that the process may have, at most
  // a quarter is kept for hot files, whatever `limits` says.
  FileService(std::size_t shards, Submit submit, Log log, http::MediaTypes types,
              FileCacheLimits limits = {});
  ~FileService() override;

  // Before the shards run. A handler for everything below `prefix` (which ends in a slash); the
  // service outlives it. Errors: not_found, permission_denied, bad_setting, with words that name
  // the directory.
  Result<core::ExchangeHandler> directory(std::string prefix, std::string_view root,
                                          FilesOptions options);

  // Shard.
  void respond_file(core::Exchange& exchange) override;
  void respond_stream(core::Exchange& exchange) override;
  void stream_writable(core::Exchange& exchange) override;
  void stream_aborted(core::Exchange& exchange) override;
  bool run_blocking(core::Shard& shard, base::Task work, base::Task done) override;

  // Shard: what it remembers.
  const FileCache& cache(const core::Shard& shard) const;

 private:
  struct Load;
  struct KnownToShard;

  void serve(core::Exchange& exchange, const std::shared_ptr<const Root>& root,
             std::string_view path);
  void answer(core::Exchange& exchange, const Root& root, const Found& found);
  std::shared_ptr<Load> make_load(const std::shared_ptr<const Root>& root, std::string_view path,
                                  const FoundRef& previous);
  // False: too much is waiting.
  bool start(core::Shard& shard, std::shared_ptr<Load> load);
  void finish(core::Shard& shard, const std::shared_ptr<Load>& load);
  KnownToShard& of(const core::Shard& shard) const;

  const Submit submit_;
  const Log log_;
  const http::MediaTypes types_;
  const std::shared_ptr<const Root> application_;
  const FoundRef no_memory_;
  std::uint32_t roots_ = 1;
  std::vector<std::unique_ptr<KnownToShard>> shards_;
};

}  // namespace sluice::service

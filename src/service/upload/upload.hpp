// service/upload/upload.hpp - forms and bodies that go to the disk as they arrive.
//
// RFC 7578; http_upload_files of the specification, server.uploads. Layer: service. Thread: the
// exchange's shard, but for the disk, which has the file pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/connection.hpp>
#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "base/block.hpp"
#include "core/body_sink.hpp"
#include "core/form.hpp"
#include "core/router.hpp"
#include "core/session.hpp"
#include "proto/multipart/decoder.hpp"
#include "service/upload/stored_file.hpp"

namespace sluice::service {

struct UploadEvents {
  // Both may be changed; the path is that of the folder.
  std::function<void(Connection, std::string& file_name, std::string& file_path)> before_save;
  std::function<void(Connection, std::string_view name, std::string_view path)> after_save;
  // A field of a form that no handler is shown.
  std::function<void(Connection, std::string_view name, std::string_view value)> read_input;
};

// How one request's files are stored.
struct UploadRules {
  std::string folder;
  ExistingFile existing = ExistingFile::number;
  std::optional<std::uint64_t> file_bytes;  // else limits.upload_file_bytes
  bool parts = true;                        // a form is taken apart
  std::string prefix;                       // of server.uploads; empty: a handler answers
};

// Lifetime: that of the server's run, as the exchanges whose sinks it makes.
class Uploads final : public core::BodySinks {
 public:
  // `disk`: where waiting harms nobody. It outlives this.
  Uploads(HttpUploadFiles settings, UploadEvents events, core::BodySource& disk);

  // Before the shards run, when http_upload_files wants files. Errors: bad_setting, where the
  // folder cannot be used. What dead processes have left there goes.
  Result<void> open_folder() const;
  // The same for a prefix of server.uploads. Returns who takes the bodies of its routes.
  Result<core::SinkMaker> add(const std::string& prefix, const std::string& folder,
                              const UploadOptions& options);
  // For a file that has none.
  static std::string made_up_name();
  // Their handler: 201 and what was stored.
  static void answer(core::Exchange& exchange);

  std::unique_ptr<core::BodySink> open(core::Exchange& exchange) override;

  const UploadEvents& events() const { return events_; }
  core::BodySource& disk() const { return disk_; }

 private:
  std::unique_ptr<core::BodySink> open(core::Exchange& exchange, const UploadRules& rules);

  const HttpUploadFiles settings_;
  const UploadRules rules_;  // those of settings_
  std::vector<std::unique_ptr<const UploadRules>> prefixes_;
  const UploadEvents events_;
  core::BodySource& disk_;
};

// One request's. Bytes are copied into batches and written from there: no receive block is kept
// while more is awaited, else many slow clients would have all that a shard may receive into. But
// for those of a bulk (io::Engine), of which there are few: they are written as they are. While a
// batch is written the next is filled; then, and while an event is asked, nothing more is read from
// the client.
class Upload final : public core::BodySink {
 public:
  // Without `boundary` the body is one file, which the client calls `file_name`. `uploads` and
  // `rules` outlive it, or its last use of them.
  Upload(const Uploads& uploads, const UploadRules& rules, core::Shard& shard,
         std::string_view boundary, std::string file_name);
  ~Upload() override;

  void on_piece(core::Exchange& exchange, base::Block& block, std::span<std::byte> piece) override;
  bool takes_bulk() const override { return true; }
  void on_end(core::Exchange& exchange) override;
  void given_up() noexcept override;

 private:
  // What is written at once, about, and the rooms of the blocks that bytes are copied to.
  static constexpr std::size_t kBatch = 256 * 1024, kRoom = 64 * 1024, kFirstRoom = 16 * 1024;
  // A piece of this size is written from where it was received; it has half of its block at least.
  static constexpr std::size_t kShared = 256 * 1024;
  // Batches end where pages do, but for the last one of a file.
  static constexpr std::size_t kPage = 4096;

  struct Part {
    base::BlockRef block;
    Bytes bytes;
    bool ours = false;  // the block: there may be room behind the bytes
  };
  using Batch = std::vector<Part>;

  // What crosses to the file pool and back; the job's alone while it runs.
  struct Disk {
    std::unique_ptr<StoredFile> file;
    std::vector<Bytes> bytes;
    std::string folder, name;
    ExistingFile existing = ExistingFile::number;
    bool keep = false;
    Error error;
    std::vector<KeptFile> kept;  // that go again if the form fails

    void write();
  };

  void go_on(core::Exchange& exchange);
  void take(core::Exchange& exchange, const multipart::Piece& piece);
  void begin_file(core::Exchange& exchange, multipart::PartHead head, std::string name);
  void judge_name(core::Exchange& exchange);
  void add(core::Exchange& exchange, Bytes bytes);
  bool append(Bytes bytes);
  bool copy(Bytes bytes);
  void keep_rest(std::size_t size);
  void write_out(core::Exchange& exchange, bool last);
  void begin_write(core::Exchange& exchange, bool last);
  void written(core::Exchange& exchange);
  void ask(core::Exchange& exchange, std::string_view name, std::function<void()> call,
           std::function<void(core::Exchange&)> then);
  void fail(core::Exchange& exchange, Errc code, const std::string& detail = {});
  void finish(core::Exchange& exchange);
  void hand_over(core::Exchange& exchange);
  void remove_all() noexcept;

  const Uploads& uploads_;
  const UploadRules& rules_;
  core::Shard& shard_;
  const Limits limits_;
  const bool is_form_;
  const std::string sent_name_;
  multipart::Decoder decoder_;
  std::unique_ptr<core::Form> form_ = std::make_unique<core::Form>();
  std::vector<std::unique_ptr<std::string>> values_;  // what the fields' views point to
  std::uint64_t fields_bytes_ = 0;
  std::string* field_ = nullptr;  // that arrives
  UploadedFile file_;             // the same
  bool in_file_ = false;
  bool stored_ = false;        // the only file of what is no form
  bool ended_ = false;         // all of the body has come
  bool busy_ = false;          // an event or the disk is asked
  bool writing_ = false;       // Disk is the job's
  bool waits_ = false;         // the batch, for the disk, which has another
  bool is_last_ = false;       // of its file: the batch that waits
  bool over_ = false;          // failed, given up, or handed over
  bool removes_ = false;       // what is kept goes as soon as the job has ended
  base::BlockRef rest_block_;  // received, not looked at yet
  Bytes rest_;
  Bytes first_;  // of a file without a name, which begins with it
  Batch batch_, written_;
  std::size_t batch_size_ = 0;
  std::size_t room_ = 0;  // of the block that was taken last
  std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
};

}  // namespace sluice::service

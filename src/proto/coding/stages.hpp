// proto/coding/stages.hpp - what is behind Encoder and Decoder: one file for each library.
//
// Layer: proto, of this folder only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "proto/coding/encoder.hpp"

namespace sluice::coding {

// One coding undone, without limits on how much comes out.
class Stage {
 public:
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  struct Step {
    std::size_t used = 0, made = 0;
    Errc error = Errc::none;  // http_bad_content_coding or out_of_memory
  };
  // Until `in` is used up or `out`, which is not empty, is full: then there may be more to come
  // without any input.
  virtual Step decode(Bytes in, std::span<std::byte> out) = 0;
  // What came is whole.
  virtual bool at_end() const = 0;
  virtual void reset() noexcept = 0;
  virtual std::size_t memory() const = 0;

 protected:
  Stage() = default;
};

// All are null when memory is out. Options are whole: no defaults in them.
std::unique_ptr<Encoder> make_gzip_encoder(const EncoderOptions& options);
std::unique_ptr<Encoder> make_brotli_encoder(const EncoderOptions& options);
std::unique_ptr<Encoder> make_zstd_encoder(const EncoderOptions& options);
std::unique_ptr<Stage> make_gzip_stage();
std::unique_ptr<Stage> make_deflate_stage();
std::unique_ptr<Stage> make_brotli_stage();
std::unique_ptr<Stage> make_zstd_stage();

}  // namespace sluice::coding

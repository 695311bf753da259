// proto/http2/callbacks.hpp - what nghttp2 calls. Private to this folder.
//
// Layer: proto.
#pragma once

#include <nghttp2/nghttp2.h>

#include <new>

#include "proto/http2/session.hpp"

namespace sluice::http2 {

struct Session::Line : nghttp2_nv {};

struct Session::Callbacks {
  // receive.cpp
  static int on_begin_head(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_field(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                      nghttp2_rcbuf* value, std::uint8_t flags, void* user);
  static int on_bad_field(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                          nghttp2_rcbuf* value, std::uint8_t flags, void* user);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_bad_frame(nghttp2_session*, const nghttp2_frame* frame, int why, void* user);
  static int on_data(nghttp2_session*, std::uint8_t flags, std::int32_t id,
                     const std::uint8_t* data, std::size_t size, void* user);
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user);
  // priority.cpp
  static int on_priority_piece(nghttp2_session*, const nghttp2_frame_hd* head,
                               const std::uint8_t* data, std::size_t size, void* user);
  static int on_priority(nghttp2_session*, void** payload, const nghttp2_frame_hd* head,
                         void* user);
  // send.cpp
  static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_not_sent(nghttp2_session*, const nghttp2_frame* frame, int why, void* user);
  static ssize_t most_data(nghttp2_session*, std::uint8_t type, std::int32_t id,
                           std::int32_t connection_window, std::int32_t stream_window,
                           std::uint32_t most_frame, void* user);
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* buffer,
                           std::size_t most, std::uint32_t* flags, nghttp2_data_source* source,
                           void* user);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                       std::size_t size, nghttp2_data_source* source, void* user);

  // Runs `work`, unless the session has failed, and ends nghttp2's call when it fails.
  template <class Work>
  static int run(void* user, Work&& work) noexcept {
    Session& self = *static_cast<Session*>(user);
    if (self.has_failed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
    try {
      work(self);
    } catch (const std::bad_alloc&) {
      self.fail(Reason::out_of_memory, Code::internal_error, {});
    }
    return self.has_failed() ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }
};

}  // namespace sluice::http2

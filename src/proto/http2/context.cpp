// proto/http2/context.cpp - nghttp2's options and callbacks, made once for many sessions.
//
// Layer: proto.
#include <algorithm>
#include <limits>

#include "proto/http2/callbacks.hpp"

namespace sluice::http2 {
namespace {

// nghttp2 counts resets and CONTINUATION frames by itself, and with a clock of its own; we have our
// own numbers. Versions that do not count have no such functions: then these are found instead.
template <class... Arguments>
void nghttp2_option_set_stream_reset_rate_limit(Arguments...) {}
template <class... Arguments>
void nghttp2_option_set_max_continuations(Arguments...) {}

void leave_counting_to_us(nghttp2_option* option, std::size_t continuations) {
  constexpr std::uint64_t kNever = std::numeric_limits<std::uint32_t>::max();
  nghttp2_option_set_stream_reset_rate_limit(option, kNever, kNever);
  nghttp2_option_set_max_continuations(option, continuations);
}

// A head that `head` lets in, or that is to be answered 431, must not be a flood.
Settings adjusted(Settings settings) {
  static constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  Floods& floods = settings.floods;
  const auto raise = [](std::uint32_t& number, std::size_t to) {
    number = std::max(number, static_cast<std::uint32_t>(std::min(to, kMost)));
  };
  const std::size_t head = std::min(settings.head.head_bytes, kMost) * 2;
  raise(floods.head_block_bytes, head);
  raise(floods.decoded_bytes, head);
  raise(floods.continuations, floods.head_block_bytes / 8192);  // clients fill 16,384
  return settings;
}

}  // namespace

Context::Context(const Settings& settings) : settings_(adjusted(settings)) {}

Result<std::shared_ptr<const Context>> Context::server(const Settings& settings) {
  constexpr std::uint32_t kMostWindow = 0x7fff'ffff;
  if (settings.stream_window > kMostWindow || settings.connection_window > kMostWindow ||
      settings.connection_window < NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE ||
      settings.streams == 0) {
    return Error(Errc::bad_setting, "a window or a number of streams that HTTP/2 does not know");
  }
  std::shared_ptr<Context> made;
  try {
    made.reset(new Context(settings));
  } catch (const std::bad_alloc&) {
    return Error(Errc::out_of_memory);
  }
  if (nghttp2_option_new(&made->option_) != 0 ||
      nghttp2_session_callbacks_new(&made->callbacks_) != 0) {
    return Error(Errc::out_of_memory);
  }
  nghttp2_option* option = made->option_;
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, settings.floods.queue);
  nghttp2_option_set_user_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
  // It counts a frame again for each piece that its nine first bytes come in.
  leave_counting_to_us(option, 10 * (std::size_t{made->settings_.floods.continuations} + 1));

  using Calls = Session::Callbacks;
  nghttp2_session_callbacks* calls = made->callbacks_;
  nghttp2_session_callbacks_set_on_begin_headers_callback(calls, Calls::on_begin_head);
  nghttp2_session_callbacks_set_on_header_callback2(calls, Calls::on_field);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(calls, Calls::on_bad_field);
  nghttp2_session_callbacks_set_on_frame_recv_callback(calls, Calls::on_frame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, Calls::on_bad_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, Calls::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(calls, Calls::on_close);
  nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(calls, Calls::on_priority_piece);
  nghttp2_session_callbacks_set_unpack_extension_callback(calls, Calls::on_priority);
  nghttp2_session_callbacks_set_on_frame_send_callback(calls, Calls::on_sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(calls, Calls::on_not_sent);
  nghttp2_session_callbacks_set_data_source_read_length_callback(calls, Calls::most_data);
  nghttp2_session_callbacks_set_send_data_callback(calls, Calls::send_data);
  return std::shared_ptr<const Context>(std::move(made));
}

Context::~Context() {
  nghttp2_option_del(option_);
  nghttp2_session_callbacks_del(callbacks_);
}

}  // namespace sluice::http2

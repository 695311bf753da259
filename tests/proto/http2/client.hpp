// tests/proto/http2/client.hpp - somebody else's client, in memory: nghttp2's.
//
// Layer: tests.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/http2/frames.hpp"

namespace sluice::test::h2 {

class Client {
 public:
  struct Answer {
    std::string fields, body;  // "name=value " each
    bool closed = false;
    std::uint32_t code = 0;
  };

  Client() {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(
        calls, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                  std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                  std::uint8_t, void* user) {
          std::string& fields = static_cast<Client*>(user)->answers[frame->hd.stream_id].fields;
          fields.append(reinterpret_cast<const char*>(name), name_size) += '=';
          fields.append(reinterpret_cast<const char*>(value), value_size) += ' ';
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        calls, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                  std::size_t size, void* user) {
          static_cast<Client*>(user)->answers[id].body.append(reinterpret_cast<const char*>(data),
                                                              size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        calls, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
          static_cast<Client*>(user)->answers[id].closed = true;
          static_cast<Client*>(user)->answers[id].code = code;
          return 0;
        });
    nghttp2_session_client_new(&session_, calls, this);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Client() { nghttp2_session_del(session_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int request(const FieldList& fields) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields) {
      list.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    return nghttp2_submit_request(session_, nullptr, list.data(), list.size(), nullptr, nullptr);
  }
  void feed(const std::string& text) {
    nghttp2_session_mem_recv(session_, bytes(text), text.size());
  }
  std::string take() {
    std::string text;
    const std::uint8_t* data = nullptr;
    for (;;) {
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size <= 0) return text;
      text.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
  }

  std::map<int, Answer> answers;

 private:
  static std::uint8_t* bytes(const std::string& text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  }
  nghttp2_session* session_ = nullptr;
};

}  // namespace sluice::test::h2

// bench/peers/lws_server.cpp - libwebsockets as a peer of bench/compare: one thread.
//
//   lws_server PORT
//
// "Hello, World!" at /, WebSocket echo at /ws, every message to all at /bc. libwebsockets sends one
// message for each writable callback, so that is what it does here.
#include <libwebsockets.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "../answers.hpp"

namespace {

struct Message {
  std::string bytes;  // LWS_PRE bytes of room in front
  bool binary;
};

// libwebsockets gives raw memory for each connection: constructed and destroyed by hand.
struct Socket {
  lws* wsi = nullptr;
  bool broadcast = false;
  std::string part;  // of a message that is not complete
  std::deque<std::shared_ptr<Message>> queue;
};

std::set<Socket*> all;  // at /bc
volatile std::sig_atomic_t stopping = 0;

void send(Socket* socket, const std::shared_ptr<Message>& message) {
  socket->queue.push_back(message);
  lws_callback_on_writable(socket->wsi);
}

void receive(lws* wsi, Socket* socket, std::string_view bytes) {
  socket->part += bytes;
  if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0) return;
  auto message = std::make_shared<Message>();
  message->binary = lws_frame_is_binary(wsi) != 0;
  message->bytes.assign(LWS_PRE, '\0');
  message->bytes += socket->part;
  socket->part.clear();
  if (socket->broadcast) {
    for (Socket* other : all) send(other, message);
  } else {
    send(socket, message);
  }
}

int write_next(lws* wsi, Socket* socket) {
  if (socket->queue.empty()) return 0;
  const std::shared_ptr<Message> message = socket->queue.front();
  socket->queue.pop_front();
  auto* payload = reinterpret_cast<unsigned char*>(message->bytes.data()) + LWS_PRE;
  const std::size_t size = message->bytes.size() - LWS_PRE;
  if (lws_write(wsi, payload, size, message->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0) {
    return -1;
  }
  if (!socket->queue.empty()) lws_callback_on_writable(wsi);
  return 0;
}

bool is_broadcast(lws* wsi) {
  char path[16] = {};
  lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
  return std::string_view(path) == "/bc";
}

int on_websocket(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  auto* socket = static_cast<Socket*>(user);
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      new (socket) Socket{};
      socket->wsi = wsi;
      socket->broadcast = is_broadcast(wsi);
      if (socket->broadcast) all.insert(socket);
      return 0;
    case LWS_CALLBACK_RECEIVE:
      receive(wsi, socket, {static_cast<const char*>(in), size});
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return write_next(wsi, socket);
    case LWS_CALLBACK_CLOSED:
      all.erase(socket);
      socket->~Socket();
      return 0;
    case LWS_CALLBACK_HTTP: {
      unsigned char buffer[LWS_PRE + 512], *at = buffer + LWS_PRE, *end = buffer + sizeof buffer;
      if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", answers::kHello.size(),
                                      &at, end) != 0 ||
          lws_finalize_write_http_header(wsi, buffer + LWS_PRE, &at, end) != 0) {
        return 1;
      }
      lws_callback_on_writable(wsi);
      return 0;
    }
    case LWS_CALLBACK_HTTP_WRITEABLE: {
      unsigned char body[LWS_PRE + answers::kHello.size()];
      std::memcpy(body + LWS_PRE, answers::kHello.data(), answers::kHello.size());
      if (lws_write(wsi, body + LWS_PRE, answers::kHello.size(), LWS_WRITE_HTTP_FINAL) < 0) {
        return 1;
      }
      return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
    }
    default:
      return lws_callback_http_dummy(wsi, reason, user, in, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  lws_set_log_level(LLL_ERR, nullptr);
  const lws_protocols protocols[] = {
      {"bench", on_websocket, sizeof(Socket), 65536, 0, nullptr, 0},
      {nullptr, nullptr, 0, 0, 0, nullptr, 0},
  };
  lws_context_creation_info info = {};
  info.port = std::atoi(argv[1]);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = 65536;
  info.keepalive_timeout = 600;
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
  lws_context* context = lws_create_context(&info);
  if (context == nullptr) return 1;
  std::signal(SIGTERM, [](int) { stopping = 1; });
  while (stopping == 0 && lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}

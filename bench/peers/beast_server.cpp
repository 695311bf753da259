// bench/peers/beast_server.cpp - Boost.Beast as a peer of bench/compare: one thread, asynchronous.
//
//   beast_server PORT
//
// "Hello, World!" at /, 2 KiB of JSON at /json, POST at /upload, WebSocket echo at /ws, every
// message to all at /bc. Written as Beast's own examples are.
#include <utility>  // Boost 1.74 uses it and does not include it

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../answers.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using beast::error_code;

namespace {

class Socket;
std::set<Socket*> all;  // at /bc

class Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(tcp::socket socket, bool broadcast) : stream_(std::move(socket)), broadcast_(broadcast) {}
  ~Socket() { all.erase(this); }

  void run(const http::request<http::empty_body>& request) {
    stream_.async_accept(request, [self = shared_from_this()](error_code error) {
      if (error) return;
      if (self->broadcast_) all.insert(self.get());
      self->read();
    });
  }

 private:
  using Message = std::shared_ptr<const std::string>;

  void read() {
    stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) {
        all.erase(self.get());
        return;
      }
      self->binary_ = self->stream_.got_binary();
      self->on_message();
    });
  }

  void on_message() {
    auto message = std::make_shared<const std::string>(beast::buffers_to_string(buffer_.data()));
    buffer_.consume(buffer_.size());
    if (broadcast_) {
      for (Socket* other : all) other->send(message, binary_);
    } else {
      send(message, binary_);
    }
    read();
  }

  void send(Message message, bool binary) {
    binary_ = binary;
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) write();
  }

  void write() {
    stream_.binary(binary_);
    stream_.async_write(asio::buffer(*queue_.front()),
                        [self = shared_from_this()](error_code error, std::size_t) {
                          if (error) return;
                          self->queue_.pop_front();
                          if (!self->queue_.empty()) self->write();
                        });
  }

  websocket::stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  std::deque<Message> queue_;
  bool broadcast_, binary_ = false;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : stream_(std::move(socket)) {}

  void read() {
    parser_.emplace();
    parser_->body_limit(std::uint64_t(2) << 30);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error) self->on_head();
                            });
  }

 private:
  void on_head() {
    if (websocket::is_upgrade(parser_->get())) {
      http::request<http::empty_body> request(parser_->get().base());
      const bool broadcast = request.target() == "/bc";
      std::make_shared<Socket>(stream_.release_socket(), broadcast)->run(request);
      return;
    }
    read_body();
  }

  // Drops the body, piece by piece, and answers when it is complete.
  void read_body() {
    if (parser_->is_done()) {
      answer();
      return;
    }
    if (piece_.empty()) {
      piece_.resize(65536);
      buffer_.reserve(65536);  // else it reads little at a time
    }
    parser_->get().body().data = piece_.data();
    parser_->get().body().size = piece_.size();
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (!error || error == http::error::need_buffer) self->read_body();
                     });
  }

  void answer() {
    const bool json = parser_->get().target() == "/json";
    response_ = {http::status::ok, parser_->get().version()};
    response_.set(http::field::content_type, json ? "application/json" : "text/plain");
    response_.keep_alive(parser_->get().keep_alive());
    response_.body() = json ? answers::json() : std::string(answers::kHello);
    response_.prepare_payload();
    http::async_write(stream_, response_,
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return;
                        if (self->response_.keep_alive()) {
                          self->read();
                        } else {
                          self->stream_.socket().shutdown(tcp::socket::shutdown_send, error);
                        }
                      });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::buffer_body>> parser_;
  http::response<http::string_body> response_;
  std::vector<char> piece_;  // of a body; empty until there is one
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true), error);
      std::make_shared<Session>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  asio::io_context context(1);
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.bind({asio::ip::address_v4::loopback(), std::uint16_t(std::atoi(argv[1]))});
  acceptor.listen(4096);
  accept(acceptor);
  context.run();
  return 0;
}

// io/uring/uring_probe.cpp - tries what the engine needs before it is promised.
//
// A container, a seccomp filter or an emulated kernel may offer the system calls and only half of
// what is behind them.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "io/failure.hpp"
#include "io/uring/uring_engine.hpp"

namespace sluice::io {
namespace {

Error unavailable(const char* what, int number) {
  return {Errc::unavailable, system_error(what, number).detail};
}

struct Descriptors {
  int ends[2] = {-1, -1};
  int listening = -1;
  ~Descriptors() {
    for (int fd : {ends[0], ends[1], listening}) {
      if (fd >= 0) ::close(fd);
    }
  }
};

struct Ring {
  io_uring ring{};
  bool made = false;
  ~Ring() {
    if (made) ::io_uring_queue_exit(&ring);
  }
};

// A listener that does not block must not make a multishot accept fail when nobody connects, and a
// multishot receive must take its memory from the ring of buffers and stay armed.
Result<void> try_operations(io_uring& ring, const Descriptors& sockets) {
  constexpr std::uint64_t kAccepts = 1, kReceives = 2;
  io_uring_sqe* accept = ::io_uring_get_sqe(&ring);
  io_uring_prep_multishot_accept(accept, sockets.listening, nullptr, nullptr, SOCK_NONBLOCK);
  io_uring_sqe_set_data64(accept, kAccepts);
  io_uring_sqe* receive = ::io_uring_get_sqe(&ring);
  io_uring_prep_recv_multishot(receive, sockets.ends[0], nullptr, 0, 0);
  receive->flags |= IOSQE_BUFFER_SELECT;
  receive->buf_group = ReceiveRing::kGroup;
  io_uring_sqe_set_data64(receive, kReceives);
  if (int n = ::io_uring_submit(&ring); n < 0) return unavailable("submitting", -n);
  if (::send(sockets.ends[1], "x", 1, MSG_NOSIGNAL) != 1) return unavailable("send", errno);
  io_uring_cqe* completion = nullptr;
  __kernel_timespec second{1, 0};
  if (int n = ::io_uring_submit_and_wait_timeout(&ring, &completion, 1, &second, nullptr); n < 0) {
    return unavailable("waiting", -n);
  }
  if (completion->user_data == kAccepts) return unavailable("multishot accept", -completion->res);
  if (completion->res < 0) return unavailable("multishot receive", -completion->res);
  constexpr unsigned kNeeded = IORING_CQE_F_BUFFER | IORING_CQE_F_MORE;
  if (completion->res != 1 || (completion->flags & kNeeded) != kNeeded) {
    return Error(Errc::unavailable, "multishot receive does not work");
  }
  return {};
}

}  // namespace

Result<void> probe_uring() {
  base::BlockPool pool;
  ReceiveRing buffers(pool, 1024, 2, true);
  Descriptors sockets;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets.ends) < 0) {
    return unavailable("socketpair", errno);
  }
  sockets.listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un any{};
  any.sun_family = AF_UNIX;  // bound to a name that the kernel makes up
  if (::bind(sockets.listening, reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)) < 0 ||
      ::listen(sockets.listening, 1) < 0) {
    return unavailable("listen", errno);
  }
  Ring ring;  // last, so that it goes first: the kernel must not hold the buffers any more
  if (int n = ::io_uring_queue_init(8, &ring.ring,
                                    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
      n < 0) {
    return -n == EINVAL ? Error(Errc::unavailable, "the kernel is older than 6.1")
                        : unavailable("io_uring_setup", -n);
  }
  ring.made = true;
  if (Result<void> opened = buffers.open(ring.ring); !opened) {
    return Error(Errc::unavailable, opened.error().detail);
  }
  buffers.publish();
  Result<void> tried = try_operations(ring.ring, sockets);
  // What is still armed ends before its memory goes.
  ::shutdown(sockets.ends[0], SHUT_RDWR);
  ::io_uring_submit_and_get_events(&ring.ring);
  return tried;
}

Result<std::unique_ptr<Engine>> make_uring_engine(const EngineOptions& options) {
  if (Result<void> probed = probe_uring(); !probed) return probed.error();
  auto engine = std::make_unique<UringEngine>(options);
  if (Result<void> opened = engine->open(); !opened) {
    return Error(Errc::unavailable, opened.error().detail);
  }
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace sluice::io

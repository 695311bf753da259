// apps/sluice/terminal.cpp - see terminal.hpp.
#include "sluice/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "crypto/password.hpp"

namespace sluice::app {
namespace {

volatile sig_atomic_t caught = 0;

void catch_signal(int number) { caught = number; }

Error failed(int number) { return {Errc::io_failed, std::generic_category().message(number)}; }

// While it lives, signals that would end the program are kept for the end, and a stop (Ctrl-Z)
// waits. They are let in while wait() waits and nowhere else, so that none is missed just before.
class KeptSignals {
 public:
  KeptSignals() {
    caught = 0;
    sigset_t kept;
    sigemptyset(&kept);
    sigaddset(&kept, SIGTSTP);
    for (const int number : kNumbers) sigaddset(&kept, number);
    sigprocmask(SIG_BLOCK, &kept, &mask_before_);
    let_in_ = mask_before_;
    sigaddset(&let_in_, SIGTSTP);
    struct sigaction action {};
    action.sa_handler = catch_signal;
    for (std::size_t i = 0; i < kNumbers.size(); ++i) {
      sigaction(kNumbers[i], &action, &before_[i]);
    }
  }
  ~KeptSignals() {
    for (std::size_t i = 0; i < kNumbers.size(); ++i) sigaction(kNumbers[i], &before_[i], nullptr);
    sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    if (caught != 0) raise(caught);
  }
  KeptSignals(const KeptSignals&) = delete;
  KeptSignals& operator=(const KeptSignals&) = delete;

  // Until there is something to read. False: a signal came first.
  bool wait(int fd) const {
    pollfd wanted = {fd, POLLIN, 0};
    while (ppoll(&wanted, 1, nullptr, &let_in_) < 0) {
      if (caught != 0 || errno != EINTR) return false;
    }
    return true;
  }

 private:
  static constexpr std::array<int, 4> kNumbers = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  std::array<struct sigaction, kNumbers.size()> before_{};
  sigset_t mask_before_{}, let_in_{};
};

// The terminal without echo, as long as it lives.
class Unseen {
 public:
  Unseen() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (fd_ < 0 || tcgetattr(fd_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    ready_ = tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~Unseen() {
    if (ready_) tcsetattr(fd_, TCSAFLUSH, &before_);
    if (fd_ >= 0) ::close(fd_);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

  bool ready() const { return ready_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  termios before_{};
  bool ready_ = false;
};

bool print(int fd, std::string_view text) {
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// With `signals`, waits as they say before it reads.
Result<crypto::Secret> read_line(int fd, const KeptSignals* signals) {
  crypto::Secret line(crypto::kMostPasswordBytes + 1);
  std::size_t size = 0;
  while (size < line.size()) {  // byte by byte: what is behind the line is somebody else's
    if (signals != nullptr && !signals->wait(fd)) return Errc::cancelled;
    const ssize_t got = ::read(fd, line.bytes().data() + size, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    if (got == 0 && size == 0) return Errc::cancelled;
    if (got == 0 || line.view()[size] == '\n') {
      line.shrink(size);
      return line;
    }
    ++size;
  }
  return Error(Errc::invalid_argument, "the password is longer than " +
                                           std::to_string(crypto::kMostPasswordBytes) + " bytes");
}

}  // namespace

Result<crypto::Secret> read_password(int fd) { return read_line(fd, nullptr); }

Result<crypto::Secret> ask_password(std::string_view prompt) {
  const KeptSignals signals;
  const Unseen terminal;
  if (!terminal.ready()) {
    return Error(Errc::unavailable, "there is no terminal to ask on: use --stdin");
  }
  if (!print(terminal.fd(), prompt)) return failed(errno);
  return read_line(terminal.fd(), &signals);
}

}  // namespace sluice::app

// floor_uring: the least an io_uring server can do (liburing 2.3, kernel 6.1). No parsing, no routing: a yardstick.
//
//   floor_uring PORT http|close|memfile|upload|ws|broadcast [--file FILE] [--setup defer|coop|plain] [--send sqe|skip|inline] [--direct] [--ringfd]
//               [--oneshot] [--poll-first] [--bufs N] [--bufsize B]
//
// setup     defer: SINGLE_ISSUER|DEFER_TASKRUN; coop: COOP_TASKRUN|TASKRUN_FLAG; plain: neither
// send      sqe: IORING_OP_SEND; skip: the same with CQE_SKIP_SUCCESS; inline: plain send(2) from the completion loop
// direct    accepted sockets live in the ring's own file table (no fd-table reference per operation)
// ringfd    the ring's descriptor is registered (saves its lookup at each io_uring_enter)
// file      memfile: head and bytes of this file are the response, sent from memory
// oneshot   a new receive for each message instead of one multishot receive
#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "floor_common.h"

enum Mode { Http, Close, Memfile, Upload, Ws, Broadcast };
enum SendKind { Sqe, Skip, Inline };
enum Op : uint64_t { Accept, Recv, SendOp, SendBuf, CloseOp };

struct Conn {
  bool open = false, upgraded = false, inflight = false;
  uint32_t live_index = 0;
  uint16_t turn = 0;  // how often this descriptor has been accepted: tells completions of an earlier connection
  uint64_t body_left = 0;  // upload
  std::string in, out, sending;
};

static Mode mode;
static SendKind kind = Sqe;
static bool direct, oneshot, poll_first;
static unsigned nbufs = 1024, bufsize = 4096;
static io_uring ring;
static io_uring_buf_ring* br;
static char* bufs;
static std::vector<Conn> conns;
static std::vector<int> live;
static std::string file_response;
static char responses[64 * 64 * sizeof kResponse];

// Operation, buffer, descriptor (24 bits) and the low bits of its turn.
static uint64_t ud(Op op, int fd, unsigned bid = 0) {
  return uint64_t(op) | uint64_t(bid) << 8 | uint64_t(uint32_t(fd)) << 32 | uint64_t(conns[size_t(fd)].turn & 255) << 56;
}

static io_uring_sqe* sqe() {
  io_uring_sqe* s = io_uring_get_sqe(&ring);
  while (!s) { io_uring_submit(&ring); s = io_uring_get_sqe(&ring); }
  return s;
}

static void arm_recv(int fd) {
  io_uring_sqe* s = sqe();
  if (oneshot) io_uring_prep_recv(s, fd, nullptr, 0, 0);
  else io_uring_prep_recv_multishot(s, fd, nullptr, 0, 0);
  s->flags |= IOSQE_BUFFER_SELECT | (direct ? IOSQE_FIXED_FILE : 0);
  s->buf_group = 0;
  if (poll_first) s->ioprio |= IORING_RECVSEND_POLL_FIRST;
  io_uring_sqe_set_data64(s, ud(Recv, fd));
}

static void recycle(unsigned bid) {
  io_uring_buf_ring_add(br, bufs + size_t(bid) * bufsize, bufsize, (unsigned short)bid, io_uring_buf_ring_mask(nbufs), 0);
  io_uring_buf_ring_advance(br, 1);
}

static void queue_send(int fd, const char* p, size_t n, uint64_t data, bool skip) {
  io_uring_sqe* s = sqe();
  io_uring_prep_send(s, fd, p, n, MSG_WAITALL | MSG_NOSIGNAL);
  if (direct) s->flags |= IOSQE_FIXED_FILE;
  if (skip) s->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(s, data);
}

static void drop(int fd) {
  Conn& c = conns[size_t(fd)];
  if (!c.open) return;
  if (mode == Broadcast && c.upgraded) {
    uint32_t i = c.live_index;
    live[i] = live.back();
    conns[size_t(live[i])].live_index = i;
    live.pop_back();
  }
  uint16_t turn = c.turn;
  c = Conn{};
  c.turn = turn;
  if (direct) {
    io_uring_sqe* s = sqe();
    io_uring_prep_close_direct(s, unsigned(fd));
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(s, ud(CloseOp, fd));
  } else if (kind == Inline) {
    close(fd);
  } else {
    io_uring_sqe* s = sqe();
    io_uring_prep_close(s, fd);
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(s, ud(CloseOp, fd));
  }
}

// Sends bytes that live as long as the process.
static void put_static(int fd, const char* p, size_t n) {
  if (kind == Inline) { if (send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) drop(fd); return; }
  queue_send(fd, p, n, ud(SendOp, fd), kind == Skip);
}

// Sends bytes that must be copied when they can't leave at once.
static void put_copy(int fd, Conn& c, const char* p, size_t n) {
  if (kind == Inline && !c.inflight) {
    ssize_t w = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (w == ssize_t(n)) return;
    if (w > 0) { p += w; n -= size_t(w); }
  }
  if (c.inflight) { c.out.append(p, n); return; }
  c.sending.assign(p, n);
  c.inflight = true;
  queue_send(fd, c.sending.data(), c.sending.size(), ud(SendOp, fd), false);
}

static void on_ws(int fd, Conn& c, char* p, size_t n, unsigned bid, bool& keep) {
  if (!c.upgraded) {
    c.in.append(p, n);
    if (c.in.find("\r\n\r\n") == std::string::npos) return;
    std::string reply;
    if (!floor_ws_handshake(c.in, reply)) { drop(fd); return; }
    std::string().swap(c.in);
    c.upgraded = true;
    if (mode == Broadcast) { c.live_index = uint32_t(live.size()); live.push_back(fd); }
    put_copy(fd, c, reply.data(), reply.size());
    return;
  }
  std::string joined;
  bool inplace = c.in.empty();
  if (!inplace) { c.in.append(p, n); joined.swap(c.in); p = joined.data(); n = joined.size(); }
  size_t used = 0, o = 0;
  WsFrame f;
  while (floor_ws_frame(reinterpret_cast<uint8_t*>(p) + used, n - used, f)) {
    o += floor_ws_reply(reinterpret_cast<uint8_t*>(p) + used, f, reinterpret_cast<uint8_t*>(p) + o);  // never overtakes its source
    used += f.head + f.len;
  }
  if (used < n) c.in.assign(p + used, n - used);
  if (o == 0) return;
  if (mode == Broadcast) {
    static std::vector<std::string> msgs(4096);
    static size_t next = 0;
    std::string& m = msgs[next++ % msgs.size()];
    m.assign(p, o);
    for (size_t i = 0; i < live.size(); i++) put_static(live[i], m.data(), m.size());
    return;
  }
  if (inplace && kind != Inline && !c.inflight) {
    c.inflight = true;
    keep = true;
    queue_send(fd, p, o, ud(SendBuf, fd, bid), false);
    return;
  }
  put_copy(fd, c, p, o);
}

static void on_data(int fd, Conn& c, char* p, size_t n, unsigned bid, bool& keep) {
  if (mode == Ws || mode == Broadcast) { on_ws(fd, c, p, n, bid, keep); return; }
  if (mode == Upload) { if (floor_upload(p, n, c.body_left)) put_static(fd, kResponse, kResponseLen); return; }
  size_t count = floor_count_requests(p, n);
  if (!count) return;
  if (mode == Memfile) { put_static(fd, file_response.data(), file_response.size()); return; }
  if (mode == Http) { put_static(fd, responses, (count < 4096 ? count : 4096) * kResponseLen); return; }
  if (kind == Inline) { send(fd, kResponseClose, kResponseCloseLen, MSG_NOSIGNAL); drop(fd); return; }
  io_uring_sqe* s = sqe();  // send, then close, as one linked pair
  io_uring_prep_send(s, fd, kResponseClose, kResponseCloseLen, MSG_WAITALL | MSG_NOSIGNAL);
  s->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS | (direct ? IOSQE_FIXED_FILE : 0);
  io_uring_sqe_set_data64(s, ud(SendOp, fd));
  s = sqe();
  io_uring_prep_shutdown(s, fd, SHUT_RDWR);
  s->flags |= IOSQE_CQE_SKIP_SUCCESS | (direct ? IOSQE_FIXED_FILE : 0);
  io_uring_sqe_set_data64(s, ud(CloseOp, fd));  // the receive then ends with 0 and the socket is closed there
}

static void load_file(const char* name) {
  FILE* f = fopen(name, "rb");
  if (!f) { perror(name); exit(1); }
  std::string bytes;
  char part[65536];
  for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) bytes.append(part, n);
  fclose(f);
  file_response = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::string m = argv[2], setup = "defer";
  mode = m == "http" ? Http : m == "close" ? Close : m == "memfile" ? Memfile : m == "upload" ? Upload : m == "ws" ? Ws : Broadcast;
  bool ringfd = false;
  for (int i = 3; i < argc; i++) {
    std::string a = argv[i];
    if (a == "--setup") setup = argv[++i];
    else if (a == "--send") { std::string v = argv[++i]; kind = v == "skip" ? Skip : v == "inline" ? Inline : Sqe; }
    else if (a == "--file") load_file(argv[++i]);
    else if (a == "--direct") direct = true;
    else if (a == "--ringfd") ringfd = true;
    else if (a == "--oneshot") oneshot = true;
    else if (a == "--poll-first") poll_first = true;
    else if (a == "--bufs") nbufs = unsigned(atoi(argv[++i]));
    else if (a == "--bufsize") bufsize = unsigned(atoi(argv[++i]));
    else { fprintf(stderr, "unknown flag %s\n", a.c_str()); return 2; }
  }
  for (size_t i = 0; i < 4096; i++) memcpy(responses + i * kResponseLen, kResponse, kResponseLen);
  int lfd = floor_listen(atoi(argv[1]));
  size_t maxfd = floor_raise_nofile();
  conns.resize(maxfd);
  io_uring_params p{};
  p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
  p.cq_entries = 32768;
  if (setup == "defer") p.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  if (setup == "coop") p.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  int rc = io_uring_queue_init_params(4096, &ring, &p);
  if (rc < 0) { fprintf(stderr, "io_uring: %s\n", strerror(-rc)); return 1; }
  if (ringfd) io_uring_register_ring_fd(&ring);
  if (direct) {
    rc = io_uring_register_files_sparse(&ring, unsigned(maxfd - 1));
    if (rc < 0) { fprintf(stderr, "files: %s\n", strerror(-rc)); return 1; }
  }
  // io_uring_setup_buf_ring came with liburing 2.4: map the ring and register it by hand.
  void* mapped = mmap(nullptr, nbufs * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) { perror("mmap"); return 1; }
  br = static_cast<io_uring_buf_ring*>(mapped);
  io_uring_buf_reg reg{};
  reg.ring_addr = reinterpret_cast<uintptr_t>(br);
  reg.ring_entries = nbufs;
  rc = io_uring_register_buf_ring(&ring, &reg, 0);
  if (rc < 0) { fprintf(stderr, "bufs: %s\n", strerror(-rc)); return 1; }
  bufs = static_cast<char*>(aligned_alloc(4096, size_t(nbufs) * bufsize));
  for (unsigned i = 0; i < nbufs; i++) recycle(i);
  auto arm_accept = [&] {
    io_uring_sqe* s = sqe();
    if (direct) io_uring_prep_multishot_accept_direct(s, lfd, nullptr, nullptr, 0);
    else io_uring_prep_multishot_accept(s, lfd, nullptr, nullptr, 0);
    io_uring_sqe_set_data64(s, ud(Accept, lfd));
  };
  arm_accept();
  for (;;) {
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* cqe;
    unsigned h, seen = 0;
    io_uring_for_each_cqe(&ring, h, cqe) {
      seen++;
      uint64_t d = cqe->user_data;
      Op op = Op(d & 255);
      int fd = int(d >> 32 & 0xffffff), res = cqe->res;
      Conn& c = conns[size_t(fd)];
      if (op != Accept && uint8_t(c.turn) != d >> 56) {
        if (op == Recv && (cqe->flags & IORING_CQE_F_BUFFER)) recycle(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        if (op == SendBuf) recycle(unsigned(d >> 8) & 0xffff);
        continue;
      }
      switch (op) {
        case Accept:
          if (res >= 0) { conns[size_t(res)].open = true; conns[size_t(res)].turn++; arm_recv(res); }
          if (!(cqe->flags & IORING_CQE_F_MORE)) arm_accept();
          break;
        case Recv: {
          if (res > 0) {
            unsigned bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
            bool keep = false;
            if (c.open) on_data(fd, c, bufs + size_t(bid) * bufsize, size_t(res), bid, keep);
            if (!keep) recycle(bid);
            if (!(cqe->flags & IORING_CQE_F_MORE) && c.open) arm_recv(fd);
          } else if (res == -ENOBUFS) {
            if (c.open) arm_recv(fd);
          } else {
            drop(fd);
          }
          break;
        }
        case SendBuf:
          recycle(unsigned(d >> 8) & 0xffff);
          [[fallthrough]];
        case SendOp:
          if (mode == Ws && c.open) {
            c.inflight = false;
            if (!c.out.empty()) {
              c.sending.swap(c.out);
              c.out.clear();
              c.inflight = true;
              queue_send(fd, c.sending.data(), c.sending.size(), ud(SendOp, fd), false);
            }
          } else if (mode == Broadcast) c.inflight = false;
          if (res < 0) drop(fd);
          break;
        case CloseOp: break;
      }
    }
    io_uring_cq_advance(&ring, seen);
  }
}

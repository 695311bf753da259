// io/socket_list.hpp - a queue of sockets linked through their own fields: no allocation, and
// removal from the middle.
//
// Layer: io. Thread: the shard's.
#pragma once

#include "io/engine.hpp"

namespace sluice::io {

// First in, first out. A socket is in one list at most; whoever lists it keeps track of that in its
// flags.
class SocketList {
 public:
  SocketList() { head_.next = head_.previous = &head_; }

  bool empty() const { return head_.next == &head_; }
  Socket* front() { return empty() ? nullptr : head_.next; }

  void push_back(Socket& socket) {
    socket.next = &head_;
    socket.previous = head_.previous;
    head_.previous->next = &socket;
    head_.previous = &socket;
  }

  static void remove(Socket& socket) {
    socket.previous->next = socket.next;
    socket.next->previous = socket.previous;
    socket.next = socket.previous = nullptr;
  }

  Socket* pop_front() {
    if (empty()) return nullptr;
    Socket* socket = head_.next;
    remove(*socket);
    return socket;
  }

  // Takes over all of `other`, behind what is here.
  void splice(SocketList& other) {
    if (other.empty()) return;
    other.head_.next->previous = head_.previous;
    head_.previous->next = other.head_.next;
    other.head_.previous->next = &head_;
    head_.previous = other.head_.previous;
    other.head_.next = other.head_.previous = &other.head_;
  }

 private:
  Socket head_;
};

}  // namespace sluice::io

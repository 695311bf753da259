// io/socket_list.hpp - queues of sockets that are linked through what the sockets have anyway.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <cstdint>

#include "io/activity.hpp"
#include "io/engine.hpp"

namespace sluice::io {

// First in, first out, with removal from the middle, through the sockets' activities. A socket is
// in one list at most; whoever lists it keeps track of that in its flags.
class SocketList {
 public:
  SocketList() { head_.next = head_.previous = &head_; }

  bool empty() const { return head_.next == &head_; }

  void push_back(Activity& activity) {
    activity.next = &head_;
    activity.previous = head_.previous;
    head_.previous->next = &activity;
    head_.previous = &activity;
  }

  static void remove(Socket& socket) { remove(static_cast<Links&>(*socket.activity())); }

  Socket* pop_front() {
    if (empty()) return nullptr;
    Links* first = head_.next;
    remove(*first);
    return static_cast<Activity*>(first)->socket;
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
  static void remove(Links& links) {
    links.previous->next = links.next;
    links.next->previous = links.previous;
    links.next = links.previous = nullptr;
  }

  Links head_;
};

// First in, first out. Needs no memory: a socket that has no activity when it ends is linked
// through the word that would hold one. Such a socket gets none any more.
class EndedList {
 public:
  bool empty() const { return !first_; }

  void push_back(Socket& socket) {
    if (Activity* activity = socket.activity()) activity->ended = true;
    link(socket, nullptr);
    if (last_) {
      link(*last_, &socket);
    } else {
      first_ = &socket;
    }
    last_ = &socket;
  }

  Socket* pop_front() {
    Socket* socket = first_;
    if (!socket) return nullptr;
    Activity* activity = socket->activity();
    first_ = activity ? activity->next_ended
                      : reinterpret_cast<Socket*>(socket->kept & ~Socket::kEndedTag);
    if (!first_) last_ = nullptr;
    return socket;
  }

 private:
  static void link(Socket& socket, Socket* next) {
    if (Activity* activity = socket.activity()) {
      activity->next_ended = next;
    } else {
      socket.kept = reinterpret_cast<std::uintptr_t>(next) | Socket::kEndedTag;
    }
  }

  Socket* first_ = nullptr;
  Socket* last_ = nullptr;
};

}  // namespace sluice::io

// base/signals.hpp - signals are the application's: threads of ours that run what others give them
// are begun while none can come.
//
// Layer: base.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace sluice::base {

// While it lives, no signal reaches the calling thread, nor ever one that it begins meanwhile; but
// for those that tell of a thread's own mistake, which whoever looks into crashes wants to see.
// SIGXFSZ is not one of them: a file that cannot grow is an error of write(2).
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) sigdelset(&all, own);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace sluice::base

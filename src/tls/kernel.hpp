// tls/kernel.hpp - whether this kernel could seal records itself (kTLS).
//
// Linux, CONFIG_TLS. Layer: tls. Thread: any; asked once, at the start.
#pragma once

#include <sluice/result.hpp>

namespace sluice::tls {

// Tries it on a pair of sockets over loopback, which costs some system calls. Errc::unavailable
// says why it does not.
Result<void> kernel_can_seal();

}  // namespace sluice::tls

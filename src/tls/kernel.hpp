// tls/kernel.hpp - whether this kernel could seal records itself (kTLS).
//
// Linux, CONFIG_TLS. Layer: tls. Thread: any; asked once, at the start.
#pragma once

#include <sluice/result.hpp>

namespace sluice::tls {

// Tries it on a pair of sockets over loopback, with a key for AES-128-GCM of TLS 1.3, which costs
// some system calls, and a second at most where loopback does not answer. Errc::unavailable says
// why it does not.
Result<void> kernel_can_seal();

}  // namespace sluice::tls

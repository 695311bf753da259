// tls/staple.cpp - an OCSP answer that is sent along with a certificate.
//
// RFC 6960, RFC 6066 section 8. Whether its signature is right is the client's to find out. Layer:
// tls. Thread: any but a shard's.
#include <openssl/ocsp.h>

#include <ctime>

#include "tls/context_parts.hpp"
#include "tls/files.hpp"
#include "tls/libcrypto.hpp"

namespace sluice::tls {
namespace {

using Clock = std::chrono::system_clock;
using Response = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
using Basic = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;

Error refused(const std::string& file, const std::string& why) {
  return {Errc::bad_setting, file + " " + why};
}

// The part that is about the certificate: by its serial number, for the issuer is not always known.
OCSP_SINGLERESP* answer_about(X509* certificate, OCSP_BASICRESP* basic) {
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* one = OCSP_resp_get0(basic, i);
    ASN1_INTEGER* serial = nullptr;
    OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial,
                      const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(one)));
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0) return one;
  }
  return nullptr;
}

}  // namespace

Result<Staple> staple_of(const Certificate& certificate, const std::string& file,
                         std::vector<std::string>& warnings) {
  const Quietly quietly;
  const Result<crypto::Secret> text = read_file(file);
  if (!text) return text.error();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text->view().data());
  const Response response(
      d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(text->view().size())));
  if (!response) {
    return refused(file, "is no OCSP answer in DER: openssl ocsp -respout FILE writes one");
  }
  const int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return refused(file, "is no answer, but a failure of who was asked: " +
                             std::string(OCSP_response_status_str(status)));
  }
  const Basic basic(OCSP_response_get1_basic(response.get()));
  OCSP_SINGLERESP* about = basic ? answer_about(certificate.leaf(), basic.get()) : nullptr;
  if (about == nullptr) {
    return refused(file, "is about another certificate than " + certificate.facts().source);
  }
  ASN1_GENERALIZEDTIME* until = nullptr;
  if (OCSP_single_get0_status(about, nullptr, nullptr, nullptr, &until) != V_OCSP_CERTSTATUS_GOOD) {
    return refused(file, "says that " + certificate.facts().source +
                             " is revoked or unknown; the certificate has to be replaced");
  }
  Staple staple{certificate.leaf(), std::string(text->view()), Clock::time_point::max()};
  std::tm parts{};
  if (until != nullptr && ASN1_TIME_to_tm(until, &parts) == 1) {
    staple.until = Clock::from_time_t(::timegm(&parts));
  }
  if (staple.until <= Clock::now()) {
    warnings.push_back(file + " has expired and is not sent; fetch a new OCSP answer");
  }
  return staple;
}

}  // namespace sluice::tls

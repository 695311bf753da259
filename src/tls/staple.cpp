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

// Whether both are about the same certificate of the same issuer, in the digest that `id` uses.
bool is_issued_by(const OCSP_CERTID* id, const ASN1_OBJECT* digest, const X509* certificate,
                  const X509* issuer) {
  using Id = std::unique_ptr<OCSP_CERTID, Freed<OCSP_CERTID_free>>;
  const EVP_MD* known = EVP_get_digestbyobj(digest);
  const Id ours(known != nullptr ? OCSP_cert_to_id(known, certificate, issuer) : nullptr);
  return ours && OCSP_id_cmp(ours.get(), id) == 0;
}

// The part that is about the certificate: by its serial number, and by its issuer where the chain
// has it.
OCSP_SINGLERESP* answer_about(const Certificate& ours, OCSP_BASICRESP* basic) {
  const X509* certificate = ours.leaf();
  const X509* issuer = ours.intermediates() != 0 ? ours.intermediate(0) : nullptr;
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* one = OCSP_resp_get0(basic, i);
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(one));
    ASN1_INTEGER* serial = nullptr;
    ASN1_OBJECT* digest = nullptr;
    OCSP_id_get0_info(nullptr, &digest, nullptr, &serial, id);
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) != 0) continue;
    if (issuer == nullptr || is_issued_by(id, digest, certificate, issuer)) return one;
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
  OCSP_SINGLERESP* about = basic ? answer_about(certificate, basic.get()) : nullptr;
  if (about == nullptr) {
    return refused(file, "is about another certificate than " + certificate.facts().source);
  }
  ASN1_GENERALIZEDTIME* until = nullptr;
  if (OCSP_single_get0_status(about, nullptr, nullptr, nullptr, &until) != V_OCSP_CERTSTATUS_GOOD) {
    return refused(file, "says that " + certificate.facts().source +
                             " is revoked or unknown; the certificate has to be replaced");
  }
  // What stands behind the answer in the file is none of the client's business.
  const auto* first = reinterpret_cast<const unsigned char*>(text->view().data());
  const std::string_view answer = text->view().substr(0, static_cast<std::size_t>(bytes - first));
  Staple staple{certificate.leaf(), std::string(answer), Clock::time_point::max()};
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

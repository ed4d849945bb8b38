// SPDX-License-Identifier: Apache-2.0
// Which algorithms TLS uses: the same with every mbedTLS, whatever its configuration and defaults are. For
// tls.cpp alone, which has included mbedTLS.
#pragma once

#if defined(MBEDTLS_AESNI_C) && (defined(__x86_64__) || defined(__i386__))
#include <cpuid.h>
#define FLT_AES_X86 1
#elif defined(MBEDTLS_AESCE_C)
#include <sys/auxv.h>
#endif

#include <cstdint>

namespace flannelette::io {

inline constexpr mbedtls_x509_crt_profile kCertificates = {
    MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
        MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    0xFFFFFFF,  // any kind of key that mbedTLS parses: RSA and ECDSA
    MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
        MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
    2048,  // bits of RSA at least
};

/// mbedTLS has the processor's instructions for AES. Its tables are slow, and tell by the cache what they
/// encrypt. (The shipped program has the tables only.)
inline bool has_aes_instructions() {
#if defined(FLT_AES_X86)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) != 0;
#elif defined(MBEDTLS_AESCE_C) && defined(__aarch64__)
  return (::getauxval(AT_HWCAP) & 1u << 3) != 0;  // HWCAP_AES
#elif defined(MBEDTLS_AESCE_C) && defined(__arm__)
  return (::getauxval(AT_HWCAP2) & 1u << 0) != 0;  // HWCAP2_AES
#else
  return false;
#endif
}

/// Forward secrecy and authenticated encryption only. The numbers are those of TLS 1.3, which mbedTLS 2.28
/// passes over.
inline const int* cipher_suites() {
  static constexpr int kAesFirst[] = {0x1301,
                                      0x1302,
                                      MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                      MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                      MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                      MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                      0x1303,
                                      MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                      MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                      0};
  static constexpr int kChachaFirst[] = {0x1303,
                                         MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                         MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                         0x1301,
                                         0x1302,
                                         MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                         MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                         MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                         MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                         0};
  return has_aes_instructions() ? kAesFirst : kChachaFirst;
}

inline void choose_algorithms(mbedtls_ssl_config* config) {
  mbedtls_ssl_conf_ciphersuites(config, cipher_suites());
  mbedtls_ssl_conf_cert_profile(config, &kCertificates);
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
  // 3.6.6 offers RSA-PSS first, and a server may then use it in TLS 1.2 too, but there 3.6.6 refuses it (not
  // as toolchains/sysroot.sh builds it). So PKCS #1 comes first: most TLS 1.2 servers take the client's first
  // choice (Go, and OpenSSL unless told otherwise), a TLS 1.3 server may not use PKCS #1 here (RFC
  // 8446, 4.2.3).
  static const std::uint16_t signatures[] = {
      MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
      MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
      MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
      MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
      MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE};
  mbedtls_ssl_conf_sig_algs(config, signatures);
  static const std::uint16_t groups[] = {29, 23, 24, 25, 0};  // RFC 8446, 4.2.7: x25519, P-256, P-384, P-521
  mbedtls_ssl_conf_groups(config, groups);
#else
  static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512, MBEDTLS_MD_NONE};
  mbedtls_ssl_conf_sig_hashes(config, hashes);
  mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1,
                                                MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_SECP521R1,
                                                MBEDTLS_ECP_DP_NONE};
  mbedtls_ssl_conf_curves(config, groups);
#endif
}

}  // namespace flannelette::io

/* SPDX-License-Identifier: Apache-2.0
 *
 * The random source that mbedTLS asks for with MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG: the kernel's.
 */
#include <psa/crypto.h>
#include <unistd.h>

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                             size_t output_size, size_t *output_length) {
  (void)context;
  for (size_t done = 0; done < output_size;) {
    size_t part = output_size - done < 256 ? output_size - done : 256; /* getentropy's limit */
    if (getentropy(output + done, part) != 0) return PSA_ERROR_INSUFFICIENT_ENTROPY;
    done += part;
  }
  *output_length = output_size;
  return PSA_SUCCESS;
}

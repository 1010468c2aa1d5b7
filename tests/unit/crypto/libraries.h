/* libraries.h: a group of tests over each library that ciphers can run on here. Include it behind cmocka.h. */
#ifndef IKETCP_TEST_CRYPTO_LIBRARIES_H
#define IKETCP_TEST_CRYPTO_LIBRARIES_H

#include "crypto/crypto.h"

static const enum cipher_library every_library[] = {CIPHER_LIBCRYPTO, CIPHER_IPSEC_MB, CIPHER_IPSEC_MB_AVX2};
static const char *const library_name[] = {"libcrypto", "ipsec-mb", "ipsec-mb with AVX2"};
#define LIBRARIES (sizeof every_library / sizeof every_library[0])

#define over_every_library(tests) \
    __extension__({ \
        int failed_ = 0; \
        for (size_t i_ = 0; i_ < LIBRARIES; i_++) { \
            if (!cipher_library_runs(every_library[i_], (struct cipher_suite){ENCR_AES_GCM_16, 128, AUTH_NONE})) \
                continue; \
            cipher_library_choose(every_library[i_]); \
            failed_ += cmocka_run_group_tests_name(library_name[i_], (tests), NULL, NULL); \
        } \
        failed_; \
    })

#endif

#pragma once
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

// A keyed EVP_MAC context, or NULL. `parameter` is "digest" or "cipher", `value` its algorithm's name.
// Here and not in Swift: an OSSL_PARAM array points into its own locals.
static inline EVP_MAC_CTX *hf_mac_new(const char *mac, const char *parameter, const char *value,
                                      const unsigned char *key, size_t key_length) {
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, mac, NULL);
    if (algorithm == NULL) return NULL;
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);  // the context keeps its own reference
    if (context == NULL) return NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(parameter, (char *)value, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_MAC_init(context, key, key_length, parameters) != 1) {
        EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}

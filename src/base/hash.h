/* Hashes that are not for secrets: a fast 64-bit one for tables and state hashes, SipHash for maps fed by
 * strangers, CRC32C for bytes on disk and wire. Cryptographic digests are OpenSSL's, in core. */
#ifndef SUAN_BASE_HASH_H
#define SUAN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Streaming 64-bit hash (wyhash-like mixing of 8-byte words): the same on every machine and compiler. */
struct hash {
    uint64_t state;
    uint64_t length;
};
void hash_begin(struct hash *h, uint64_t seed);
void hash_bytes(struct hash *h, const void *p, size_t n);
void hash_u64(struct hash *h, uint64_t v);
void hash_real(struct hash *h, double v); /* by bits; -0.0 and NaN payloads are normalised */
uint64_t hash_end(const struct hash *h);

uint64_t hash_once(const void *p, size_t n, uint64_t seed);
uint64_t siphash13(const void *p, size_t n, const uint64_t key[2]);
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif

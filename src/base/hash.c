#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull;

void hash_begin(struct hash *h, uint64_t seed) {
    h->state = mix(seed ^ k0, k1);
    h->length = 0;
}

void hash_u64(struct hash *h, uint64_t v) {
    h->state = mix(h->state ^ v, k0) + k1;
    h->length += 8;
}

void hash_bytes(struct hash *h, const void *p, size_t n) {
    const unsigned char *b = p;
    uint64_t length = n;
    for (; n >= 8; n -= 8, b += 8) {
        uint64_t v = 0;
        for (int i = 0; i < 8; i++)
            v |= (uint64_t)b[i] << (8 * i); /* little-endian on every machine; compilers make one load of it */
        h->state = mix(h->state ^ v, k0) + k1;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)b[i] << (8 * i);
    h->state = mix(h->state ^ v ^ length << 56, k1) + k0;
    h->length += length;
}

void hash_real(struct hash *h, double v) {
    uint64_t bits;
    if (v != v)
        bits = 0x7ff8000000000000ull;
    else {
        v += 0.0; /* -0.0 becomes 0.0 */
        memcpy(&bits, &v, sizeof bits);
    }
    hash_u64(h, bits);
}

uint64_t hash_end(const struct hash *h) { return mix(h->state ^ h->length, k1 ^ k0); }

uint64_t hash_once(const void *p, size_t n, uint64_t seed) {
    struct hash h;
    hash_begin(&h, seed);
    hash_bytes(&h, p, n);
    return hash_end(&h);
}

static uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

/* SipHash-1-3: Aumasson & Bernstein 2012, with one compression and three finalisation rounds. */
static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t siphash13(const void *p, size_t n, const uint64_t key[2]) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull, key[0] ^ 0x6c7967656e657261ull,
                     key[1] ^ 0x7465646279746573ull};
    const unsigned char *b = p;
    uint64_t last = (uint64_t)n << 56, m;
    for (; n >= 8; n -= 8, b += 8) {
        memcpy(&m, b, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)b[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n) {
    /* One nibble a step: a table of 16, no start-up cost. The storage engine brings its own fast one. */
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *b = p;
    crc = ~crc;
    while (n--) {
        crc ^= *b++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

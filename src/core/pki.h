/* The estate's own small certificate authority: P-256 keys, TLS only, made by `suan up` in <state>/pki (0700).
 * One CA (10 years), one controller certificate, one per agent (90 days, reissued at start when under 30 are left). */
#ifndef SUAN_CORE_PKI_H
#define SUAN_CORE_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Makes the folder and the CA when missing. */
int pki_open(const char *folder, struct err *e);
/* Issue <folder>/<file>.crt and .key for CN `name` when missing, near its end, of another name, without its key, or
 * not of this authority; keys are 0600. */
int pki_issue(const char *folder, const char *file, const char *name, struct err *e);
int pki_fingerprint(const char *cert_pem_file, char out[65], struct err *e);
/* SHA-256 of bytes / of a file, as 64 hex digits. */
void sha256_hex(const void *p, size_t n, char out[65]);
int sha256_file(const char *path, char out[65], int64_t *size, struct err *e);
int random_bytes(void *p, size_t n, struct err *e);

#endif

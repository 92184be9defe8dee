#include "core/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { CA_DAYS = 3650, LEAF_DAYS = 90, RENEW_DAYS = 30 };

int random_bytes(void *p, size_t n, struct err *e) {
    return RAND_bytes(p, (int)n) == 1 ? 0 : err_set(e, E_IO, "no random bytes to be had");
}

void sha256_hex(const void *p, size_t n, char out[65]) {
    unsigned char digest[32];
    EVP_Digest(p, n, digest, NULL, EVP_sha256(), NULL);
    hex_encode(out, digest, sizeof digest);
}

int sha256_file(const char *path, char out[65], int64_t *size, struct err *e) {
    unsigned char digest[32], *buffer = malloc(1 << 16);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ssize_t n = 0;
    *size = 0;
    EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    while (fd >= 0 && (n = read(fd, buffer, 1 << 16)) > 0) {
        EVP_DigestUpdate(c, buffer, (size_t)n);
        *size += n;
    }
    if (fd < 0 || n < 0)
        rc = err_errno(e, errno, "cannot read %s", path);
    EVP_DigestFinal_ex(c, digest, NULL);
    EVP_MD_CTX_free(c);
    hex_encode(out, digest, sizeof digest);
    if (fd >= 0)
        close(fd);
    free(buffer);
    return rc;
}

static void name_of(char *out, size_t size, const char *folder, const char *file, const char *suffix) {
    snprintf(out, size, "%s/%s%s", folder, file, suffix);
}

/* Written beside and renamed: a crash leaves the old file or the new one, never half of one. */
static int pem_write(const char *path, mode_t mode, EVP_PKEY *key, X509 *cert, struct err *e) {
    char fresh[600];
    snprintf(fresh, sizeof fresh, "%.590s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    FILE *f = fd < 0 || fchmod(fd, mode) ? NULL : fdopen(fd, "w");
    if (!f) {
        int rc = err_errno(e, errno, "cannot write %s", fresh);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int good = key ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(f, cert);
    good = good && !fflush(f) && !fsync(fd);
    good = !fclose(f) && good;
    if (good && !rename(fresh, path))
        return 0;
    int rc = err_errno(e, errno, "cannot write %s", path);
    unlink(fresh);
    return rc;
}

static X509 *cert_read(const char *path) {
    FILE *f = fopen(path, "re");
    X509 *c = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return c;
}

static EVP_PKEY *key_read(const char *path) {
    FILE *f = fopen(path, "re");
    EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return k;
}

static void extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (x)
        X509_add_ext(cert, x, -1);
    X509_EXTENSION_free(x);
}

static X509 *cert_new(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, int days) {
    X509 *c = X509_new();
    unsigned char serial[16];
    BIGNUM *n = NULL;
    if (!c || RAND_bytes(serial, sizeof serial) != 1)
        return NULL;
    serial[0] &= 0x7f;
    n = BN_bin2bn(serial, sizeof serial, NULL);
    X509_set_version(c, 2);
    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
    BN_free(n);
    /* An hour back: the clocks of a region are never quite the same. */
    X509_gmtime_adj(X509_getm_notBefore(c), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c), (long)days * 86400);
    X509_set_pubkey(c, key);
    X509_NAME *subject = X509_get_subject_name(c);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Suan", -1, -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : subject);
    extension(c, issuer ? issuer : c, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0");
    extension(c, issuer ? issuer : c, NID_key_usage,
              issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
    if (issuer)
        extension(c, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    extension(c, issuer ? issuer : c, NID_subject_key_identifier, "hash");
    if (!X509_sign(c, issuer_key, EVP_sha256())) {
        X509_free(c);
        return NULL;
    }
    return c;
}

static int make(const char *folder, const char *file, const char *name, X509 *issuer, EVP_PKEY *issuer_key, int days,
                struct err *e) {
    char crt[600], pem[600];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? cert_new(name, key, issuer, issuer_key ? issuer_key : key, days) : NULL;
    name_of(crt, sizeof crt, folder, file, ".crt");
    name_of(pem, sizeof pem, folder, file, ".key");
    int rc = cert ? pem_write(pem, 0600, key, NULL, e) : err_set(e, E_INTERNAL, "cannot make a certificate for %s", name);
    if (!rc)
        rc = pem_write(crt, 0644, NULL, cert, e);
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

static int days_left(const char *path) {
    X509 *c = cert_read(path);
    int days = -1, seconds = 0;
    if (c && !ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c)))
        days = -1;
    X509_free(c);
    return days;
}

int pki_open(const char *folder, struct err *e) {
    char crt[600];
    if (mkdir(folder, 0700) && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", folder);
    name_of(crt, sizeof crt, folder, "ca", ".crt");
    return days_left(crt) > RENEW_DAYS ? 0 : make(folder, "ca", "Suan estate CA", NULL, NULL, CA_DAYS, e);
}

/* Whether what lies there still serves: this name, its own key, this authority's signature, time left. */
static bool is_good(const char *folder, const char *file, const char *name, EVP_PKEY *ca_key) {
    char path[600], cn[128] = "";
    name_of(path, sizeof path, folder, file, ".crt");
    bool good = days_left(path) > RENEW_DAYS;
    X509 *c = cert_read(path);
    name_of(path, sizeof path, folder, file, ".key");
    EVP_PKEY *key = key_read(path);
    good = good && c && key && X509_check_private_key(c, key) == 1 && X509_verify(c, ca_key) == 1 &&
           X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, cn, sizeof cn) > 0 && !strcmp(cn, name);
    X509_free(c);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}

int pki_issue(const char *folder, const char *file, const char *name, struct err *e) {
    char path[600];
    name_of(path, sizeof path, folder, "ca", ".crt");
    X509 *ca = cert_read(path);
    name_of(path, sizeof path, folder, "ca", ".key");
    EVP_PKEY *key = key_read(path);
    int rc = 0;
    if (!ca || !key)
        rc = err_set(e, E_NOTFOUND, "no certificate authority in %s", folder);
    else if (!is_good(folder, file, name, key))
        rc = make(folder, file, name, ca, key, LEAF_DAYS, e);
    X509_free(ca);
    EVP_PKEY_free(key);
    return rc;
}

int pki_fingerprint(const char *cert_pem_file, char out[65], struct err *e) {
    X509 *c = cert_read(cert_pem_file);
    unsigned char digest[32];
    unsigned n = 0;
    if (!c || !X509_digest(c, EVP_sha256(), digest, &n)) {
        X509_free(c);
        return err_set(e, E_NOTFOUND, "no certificate in %s", cert_pem_file);
    }
    hex_encode(out, digest, n);
    X509_free(c);
    return 0;
}

/* What a task finds around itself: $SUAN_SHARE (read-only), and in its working folder in/, out/ and ckpt/.
 * Everything here answers failures with a message in `e`; the programs print it and exit 1. */
#ifndef SUAN_JOBS_FOLDER_H
#define SUAN_JOBS_FOLDER_H

#include "base/err.h"
#include "base/text.h"

enum { FOLDER_FILE_MAX = 64 << 20, FOLDER_INPUTS_MAX = 64 };

/* $SUAN_SHARE/data/<name>, a zstd frame of at most FOLDER_FILE_MAX bytes once unpacked. */
int folder_read_data(const char *name, struct text *out, struct err *e);
/* A plain file of at most FOLDER_FILE_MAX bytes. */
int folder_read(const char *path, struct text *out, struct err *e);
/* $SUAN_SHARE/<name>. */
int folder_read_share(const char *name, struct text *out, struct err *e);
/* Names in in/, sorted, so that every run reads them in one order. Caller frees names[i]. */
int folder_inputs(char *names[FOLDER_INPUTS_MAX], size_t *n, struct err *e);
/* Whole or not at all: <path>.new, fsync, rename, fsync of the folder. The folder is made when it is not there. */
int folder_write(const char *path, const void *p, size_t n, struct err *e);
/* "NAME: message (detail)", hint; returns 1, the exit status. */
int folder_fail(const char *program, const struct err *e);

#endif

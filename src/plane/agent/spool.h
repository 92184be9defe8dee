/* Spool: what the agent has accepted, in one append-only file that survives a kill -9 and a power cut.
 *
 * A record is {size, crc32c, kind} and a payload (JSON, by the field tables). spool_add writes it at once, so that it
 * outlives this process; a caller that must outlive the machine too gives `fn`, called after an fdatasync. Syncs run in
 * the kernel's aio queue, one at a time: whatever is added meanwhile shares the next one. So the cost of durability is
 * two syncs of delay, never a limit of the rate (180 us a sync measured: 5,500 starts/s one by one, a disk under load
 * fifty).
 *
 * A torn tail (crash while writing) is cut off at opening. A failed write is undone, the spool stays usable (disk full
 * refuses starts until there is room). A failed sync is final: the kernel has dropped pages we cannot name any more, so
 * everything is refused until the agent starts again and reads what is really there.
 *
 * The first record names the boot: after a reboot nothing that was launched can still run. */
#ifndef SUAN_PLANE_AGENT_SPOOL_H
#define SUAN_PLANE_AGENT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/loop.h"

/* Part of the file format: append only. */
enum spool_kind { SPOOL_BOOT, SPOOL_START, SPOOL_LAUNCH, SPOOL_END, SPOOL_FORGET, SPOOL_LEASE };
enum { SPOOL_RECORD_MAX = 1 << 20 };

struct spool;
typedef void spooled_fn(void *ctx, int rc, const struct err *e);
typedef void spool_replay_fn(void *ctx, enum spool_kind kind, const char *p, size_t n);

int spool_open(struct loop *l, const char *path, spool_replay_fn *replay, void *ctx, struct spool **out,
               struct err *e);
/* Syncs; waiters are told before it returns. */
void spool_close(struct spool *s);
bool spool_same_boot(const struct spool *s);      /* as when the file was last opened */
int64_t spool_dropped_bytes(const struct spool *s); /* of a torn tail */
int64_t spool_bytes(const struct spool *s);
/* fn NULL: in the file is enough. A failure leaves nothing behind and does not call fn. */
int spool_add(struct spool *s, enum spool_kind kind, const void *p, size_t n, spooled_fn *fn, void *ctx,
              struct err *e);
/* A new file with what `fill` adds, put in the old one's place when it is on the disk. Waiters are told first. */
int spool_rewrite(struct spool *s, int (*fill)(void *ctx, struct spool *s, struct err *e), void *ctx, struct err *e);

#endif

/* Drafts: configuration changes that are gathered, looked at, and committed as one revision.
 *
 *   estate begin → 7    rack set r01 budget_w=4kW draft=7    estate import more.yaml draft=7
 *   estate diff 7       estate check 7                       estate commit 7 | estate abort 7
 *
 * A draft is a list of steps, not an open transaction: nothing of it is in the estate before the commit, others go on
 * meanwhile, and each look replays the steps on the estate as it is then. So a commit that no longer fits says which
 * step and why, and changes nothing. An object that a draft creates is given its fields there, or by import.
 * A draft belongs to who began it; admins may do anything with it. Drafts are not kept over a restart; one that nobody
 * has touched for a day is dropped when the next one begins. */
#ifndef SUAN_CORE_DRAFT_H
#define SUAN_CORE_DRAFT_H

#include "core/verb.h"

enum step_op { STEP_CREATE, STEP_SET, STEP_DELETE, STEP_DELETE_TREE, STEP_IMPORT };
struct step {
    enum step_op op;
    const char *kind, *name; /* not: import */
    const char *parent;      /* create: path, or NULL */
    struct doc *fields;      /* create, set: fields; import: the document */
    const char *source;
};

/* One change: into the draft that the body names, else a revision of its own. Answers `changes`, and `revision` of a
 * commit; with dry_run only what would change. */
int step_run(struct call *c, const struct step *s, const char *why);

struct drafts;
void drafts_free(struct drafts *d);

extern const struct table table_draft_in, table_draft_commit, table_draft_begun;
int verb_draft_begin(struct call *c);
int verb_draft_list(struct call *c);
int verb_draft_diff(struct call *c);
int verb_draft_check(struct call *c);
int verb_draft_commit(struct call *c);
int verb_draft_abort(struct call *c);

#endif

/* `list`: the same verb for every kind. Its words, all optional:
 *   <field>=<value>   exact, as the value is printed       parent=kind/name     children of that object only
 *   q=text            part of the name or of a title       fields=a,b           only these, and the name
 *   sort=field        or -field, name, -name, - (newest first); equal ones in order of creation
 *   limit=1000        after=<name> (order of creation) or offset=N (any order)
 * Answers {items, count, matched, total, next}: `matched` counts all that pass, `next` is the `after` of the next page
 * (`matched` is a lower bound of the rest when `after` is used).
 * Cost: one walk over the kind; only the rows of the page are written out. */
#ifndef SUAN_CORE_LIST_H
#define SUAN_CORE_LIST_H

#include "core/verb.h"

int verb_list(struct call *c);

#endif

/* Confine: what a process gives up once it has opened what it needs. For the controller, which parses what strangers
 * send: after its doors are open it needs its state folder and sockets, so a hole in it should reach no further.
 *
 *  - every capability, for good (also from the bounding set), and no_new_privs: a root controller is root in name.
 *  - Landlock: files are made, written, renamed and removed beneath one folder only, and nothing is executed. Reading
 *    stays as the file's permissions have it.
 * Not done: a system call filter. For this thread and what it starts later; call it while there is one thread. */
#ifndef SUAN_CORE_CONFINE_H
#define SUAN_CORE_CONFINE_H

#include "base/err.h"

/* E_UNSUPPORTED: the kernel knows no Landlock; the rest was done. E_STATE: nothing was, because the folder belongs to
 * somebody else and could not be written without capabilities. */
int confine_to(const char *folder, struct err *e);

#endif

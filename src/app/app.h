/* The application: the only layer that knows every other one.
 *
 *   suan up ESTATE        supervisor: one controller and one agent a centre, restarted when they die
 *   suan daemon ESTATE    the controller alone          suan agentd NAME   one agent alone
 *   suan ON VERB …        the command line: a client of the HTTP API, built from the same tables
 *
 * State folder (default /var/lib/suan as root, else ~/.local/state/suan; --state or $SUAN_STATE):
 *   controller.json  where the controller listens     token   the admin's, 0600     state.db
 *   pki/             the estate's certificates        agents/<name>/  an agent's own */
#ifndef SUAN_APP_APP_H
#define SUAN_APP_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/text.h"

enum { APP_PATH = 512 };

/* One option of the command line: a row each, help included. */
struct option_row {
    const char *name;  /* "--state" */
    const char *value; /* what it takes, for help: "DIR"; NULL = a switch */
    size_t offset;     /* of a const char * or bool in the options struct */
    const char *doc;
};

struct options {
    const char *state, *address, *port, *link_port, *seed, *name, *log, *url, *token_file, *share, *programs;
    bool json, watch, dry_run, yes, twin, help, once, follow, journal;
    const char *words[64]; /* what is not an option, in order */
    size_t n_words;
};

extern const struct option_row option_rows[];
extern const size_t option_count;
/* Fills `o` from argv[1…]; "--" ends the options. E_INVAL with did-you-mean. */
int options_read(int argc, char **argv, struct options *o, struct err *e);
void options_usage(struct text *out);

/* -- places.c -- */
/* The state folder, made when missing. */
int place_state(const struct options *o, char out[APP_PATH], struct err *e);
/* A file or folder that comes with Suan ("share", "bench/results.jsonl", "share/jobs/bin"): beside the sources when the
 * binary stands in a build folder, else below ../share/suan of where it is installed. */
int place_shipped(const char *what, char out[APP_PATH], struct err *e);
int place_self(char out[APP_PATH], struct err *e); /* the running binary */
int file_read(const char *path, size_t max, struct text *out, struct err *e);
/* Written beside it, then renamed: a reader sees the old or the new, whole. */
int file_write(const char *path, int mode, const char *p, size_t n, struct err *e);
/* controller.json of a state folder. */
int controller_read(const char *state, struct arena *a, struct doc **out, struct err *e);

/* -- once.c: `up --once` without --state runs in a folder of its own -- */
int once_state_make(char out[APP_PATH], struct err *e);
void once_state_remove(const char *path);

/* -- goals.c: goal -> its newest row of bench/results.jsonl; empty without that file -- */
int goals_measured(struct arena *a, struct doc **out, struct err *e);

/* -- the commands; each returns the exit status -- */
int command_up(const struct options *o, struct err *e);
int command_daemon(const struct options *o, struct err *e);
int command_agent(const struct options *o, struct err *e);
int command_goals(const struct options *o, struct err *e);
int command_scenario(const struct options *o, struct err *e);
int command_reference(const struct options *o, struct err *e); /* help, man, reference, completion */
int command_once(const struct options *o, struct err *e);
int command_call(const struct options *o, struct err *e);      /* ON VERB … */

#endif

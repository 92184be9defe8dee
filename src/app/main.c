/* suan: one binary for every role. The first word says which; anything else is a call of the API. */
#include "app/main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/estate_generate.h"
#include "core/log.h"
#include "plane/agent/agent.h"

static int command_runner(const struct options *o, struct err *e) {
    (void)o, (void)e;
    return runner_main();
}

static int command_generate(const struct options *o, struct err *e) {
    struct text out = TEXT_INIT;
    char *end = NULL;
    long long nodes = o->n_words > 1 ? strtoll(o->words[1], &end, 10) : 0;
    if (o->n_words != 2 || *end) {
        err_set(e, E_INVAL, "how many nodes?");
        err_hint(e, "suan generate 10000 --seed 7 > estate.yaml");
        return E_INVAL;
    }
    int rc = estate_generate(nodes, o->seed ? strtoull(o->seed, NULL, 10) : 1, &out, e);
    if (!rc)
        fwrite(text_str(&out), 1, out.n, stdout);
    text_free(&out);
    return rc;
}

const struct command_row commands[] = {
    {"up", command_up, "ESTATE", "Start the controller and one agent a centre; Ctrl-C stops all."},
    {"daemon", command_daemon, "[ESTATE]", "The controller alone."},
    {"agentd", command_agent, "--name NAME", "One agent alone."},
    {"runner", command_runner, "", "Inside an agent's slot; not for people."},
    {"once", command_once, "", "Run the three sample jobs on the region that is up, and check their results."},
    {"scenario", command_scenario, "FILE…", "Run a scenario in virtual time and check what it expects."},
    {"generate", command_generate, "NODES", "Print an estate of so many nodes, for measuring."},
    {"goals", command_goals, "", "Every goal with its target and what was last measured."},
    {"help", command_reference, "[ON [VERB]]", "Show help."},
    {"man", command_reference, "", "Print the manual page (suan man | man -l -)."},
    {"reference", command_reference, "", "Print the reference of every noun and verb, as Markdown."},
    {"completion", command_reference, "", "Print the completion of bash."},
};
const size_t command_count = sizeof commands / sizeof commands[0];

static void complain(const struct err *e) {
    fprintf(stderr, "suan: %s%s%s\n", *e->place ? e->place : "", *e->place ? ": " : "", e->message);
    if (*e->detail)
        fprintf(stderr, "detail: %s\n", e->detail);
    if (*e->hint)
        fprintf(stderr, "hint: %s\n", e->hint);
}

static int dispatch(const struct options *o, struct err *e) {
    if (o->help || !o->n_words)
        return command_reference(o, e);
    for (size_t i = 0; i < command_count; i++)
        if (!strcmp(commands[i].word, o->words[0]))
            return commands[i].run(o, e);
    return command_call(o, e);
}

static int log_options(const struct options *o, struct err *e) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const char *who = o->n_words ? o->words[0] : "suan";
    if (o->name)
        who = o->name;
    if (!o->log || !strcmp(o->log, "json")) {
        log_setup(who, LOG_LEVEL_INFO, o->log != NULL);
        return 0;
    }
    for (int i = 0; i < 4; i++)
        if (!strcmp(o->log, levels[i])) {
            log_setup(who, (enum log_level)i, false);
            return 0;
        }
    return err_set(e, E_INVAL, "--log: '%.32s' is none of debug, info, warn, error, json", o->log);
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct err e = {0};
    signal(SIGPIPE, SIG_IGN);
    int rc = options_read(argc, argv, &o, &e);
    if (!rc)
        rc = log_options(&o, &e);
    if (!rc)
        rc = dispatch(&o, &e);
    if (rc < 0)
        complain(&e);
    return rc < 0 ? 1 : rc;
}

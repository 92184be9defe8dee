#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"

#define VALUE(N, V, M, D) {N, V, offsetof(struct options, M), D}
#define SWITCH(N, M, D) {N, NULL, offsetof(struct options, M), D}
const struct option_row option_rows[] = {
    VALUE("--state", "DIR", state, "State folder; $SUAN_STATE; default /var/lib/suan or ~/.local/state/suan."),
    VALUE("--address", "IP", address, "Address to listen on; default 127.0.0.1."),
    VALUE("--port", "N", port, "HTTP port; 0 is any free one; default 7780."),
    VALUE("--link-port", "N", link_port, "Port for agents; 0 is any free one; default 7781."),
    VALUE("--seed", "N", seed, "Seed of the twin's universe."),
    VALUE("--name", "NAME", name, "Which agent this process is."),
    VALUE("--log", "LEVEL|json", log, "Least log level (debug, info, warn, error), or JSON lines."),
    VALUE("--url", "URL", url, "Controller to call; $SUAN_URL; default from the state folder."),
    VALUE("--token-file", "FILE", token_file, "Token to call with; $SUAN_TOKEN_FILE; default from the state folder."),
    VALUE("--share", "DIR", share, "Data that tasks may read."),
    VALUE("--programs", "DIR", programs, "Programs of tasks, first in their PATH."),
    SWITCH("--json", json, "Print the answer as JSON."),
    SWITCH("--watch", watch, "Print again whenever it changes, until interrupted."),
    SWITCH("--follow", follow, "Go on printing a log as it grows."),
    SWITCH("--dry-run", dry_run, "Check everything, change nothing, say what would happen."),
    SWITCH("--yes", yes, "Do not ask before something dangerous."),
    SWITCH("--twin", twin, "Run all work in the twin too, so that time can be controlled."),
    SWITCH("--once", once, "Run the sample jobs, print a table, stop."),
    SWITCH("--journal", journal, "Print the decision journal of a scenario."),
    SWITCH("--help", help, "Show help."),
};
const size_t option_count = sizeof option_rows / sizeof option_rows[0];

static const struct option_row *find(const char *word, size_t n) {
    for (size_t i = 0; i < option_count; i++)
        if (strlen(option_rows[i].name) == n && !strncmp(option_rows[i].name, word, n))
            return &option_rows[i];
    return NULL;
}

static int unknown(const char *word, struct err *e) {
    const char *names[sizeof option_rows / sizeof option_rows[0]];
    for (size_t i = 0; i < option_count; i++)
        names[i] = option_rows[i].name;
    err_set(e, E_INVAL, "there is no option '%.64s'", word);
    const char *near = str_nearest(word, names, option_count);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "suan --help lists them");
    return E_INVAL;
}

int options_read(int argc, char **argv, struct options *o, struct err *e) {
    bool all_words = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *eq = strchr(word, '=');
        if (!all_words && !strcmp(word, "--")) {
            all_words = true;
            continue;
        }
        if (all_words || strncmp(word, "--", 2)) {
            if (o->n_words == sizeof o->words / sizeof o->words[0])
                return err_set(e, E_LIMIT, "more than %zu words", o->n_words);
            o->words[o->n_words++] = word;
            continue;
        }
        const struct option_row *row = find(word, eq ? (size_t)(eq - word) : strlen(word));
        if (!row)
            return unknown(word, e);
        if (!row->value && eq)
            return err_set(e, E_INVAL, "%s takes no value", row->name);
        if (row->value && !eq && i + 1 == argc)
            return err_set(e, E_INVAL, "%s wants a value: %s %s", row->name, row->name, row->value);
        if (row->value)
            *(const char **)(void *)((char *)o + row->offset) = eq ? eq + 1 : argv[++i];
        else
            *(bool *)((char *)o + row->offset) = true;
    }
    return 0;
}

void options_usage(struct text *out) {
    for (size_t i = 0; i < option_count; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", option_rows[i].name, option_rows[i].value ? " " : "",
                 option_rows[i].value ? option_rows[i].value : "");
        text_addf(out, "  %-22s %s\n", left, option_rows[i].doc);
    }
}

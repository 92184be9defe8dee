/* Help, manual page, reference page and shell completion: four printings of the same tables. */
#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "app/list.h"
#include "app/main.h"

/* -- one field, one verb, one noun -- */

static void type_text(const struct field *f, struct text *out) {
    static const char *const names[] = {"yes/no", "whole number", "number", "text", "one of", "reference", "time",
                                        "duration", "group", "document"};
    text_add(out, names[f->type]);
    for (int i = 0; f->type == FIELD_ENUM && f->words[i]; i++)
        text_addf(out, "%s%s", i ? ", " : " ", f->words[i]);
    if (f->type == FIELD_REF)
        text_addf(out, " to %s", strcmp(f->ref, "*") ? f->ref : "any object");
    if (f->unit && strcmp(f->unit, "1"))
        text_addf(out, ", %s", f->unit);
    if (f->min != 0 || f->max != 0)
        text_addf(out, ", %.10g to %.10g", f->min, f->max);
    if (f->count_max)
        text_addf(out, ", up to %u", f->count_max);
    if (f->dflt)
        text_addf(out, ", default %s", f->dflt);
    if (f->flags & F_REQUIRED)
        text_add(out, ", required");
}

static void field_help(const struct field *f, struct text *out) {
    struct text type = TEXT_INIT;
    type_text(f, &type);
    text_addf(out, "  %-20s %s\n  %-20s   (%s)\n", f->name, f->doc, "", text_str(&type));
    text_free(&type);
}

static void verb_usage(const char *on, const struct verb *v, struct text *out) {
    text_addf(out, "suan %s%s%s", strcmp(on, "system") ? on : "", strcmp(on, "system") ? " " : "", v->name);
    if (v->on_object)
        text_add(out, " NAME");
    for (uint32_t i = 0; v->in && i < v->in->nfields; i++) {
        const struct field *f = &v->in->fields[i];
        bool must = f->flags & F_REQUIRED;
        text_addf(out, " %s%s%s%s", must ? "" : "[", f->name, f->type == FIELD_DOC ? "=FILE" : "=…", must ? "" : "]");
    }
    if (v->flags & VERB_FREE_FORM && !v->in)
        text_add(out, " [FIELD=…]");
}

static void verb_help(const char *on, const struct verb *v, struct text *out) {
    verb_usage(on, v, out);
    text_addf(out, "\n\n%s\n\nneeds the role %s%s%s\n", v->doc, role_words[v->role],
              v->permitted_states ? "; the object must be " : "", v->permitted_states ? v->permitted_states : "");
    if (v->in && v->in->nfields)
        text_add(out, "\nfields:\n");
    for (uint32_t i = 0; v->in && i < v->in->nfields; i++)
        field_help(&v->in->fields[i], out);
    if (v->out && v->out->nfields)
        text_add(out, "\nanswers with:\n");
    for (uint32_t i = 0; v->out && i < v->out->nfields; i++)
        field_help(&v->out->fields[i], out);
    if (v->example)
        text_addf(out, "\nexample: suan %s\n", v->example);
}

static bool belongs(const struct catalogue *c, const struct verb *v, const char *on) {
    return !strcmp(v->on, on) || (!strcmp(v->on, "*") && estate_kind(c->estate, on));
}

static void on_help(const struct catalogue *c, const char *on, struct text *out) {
    const struct kind *k = estate_kind(c->estate, on);
    if (k)
        text_addf(out, "%s (%s): %s\n\n", k->title, k->title_zh, k->doc);
    text_add(out, "verbs:\n");
    for (size_t i = 0; i < verbs_count(c->verbs); i++) {
        const struct verb *v = verbs_at(c->verbs, i);
        if (belongs(c, v, on))
            text_addf(out, "  %-20s %s\n", v->name, v->doc);
    }
    if (k)
        text_add(out, "\nfields:\n");
    for (uint32_t i = 0; k && i < k->table->nfields; i++)
        field_help(&k->table->fields[i], out);
}

/* Everything that verbs stand on, once each, kinds first. */
static size_t subjects(const struct catalogue *c, const char **out, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < estate_kind_count(c->estate) && n < max; i++)
        out[n++] = estate_kind_at(c->estate, i)->name;
    for (size_t i = 0; i < verbs_count(c->verbs); i++) {
        const char *on = verbs_at(c->verbs, i)->on;
        size_t k = 0;
        while (k < n && strcmp(out[k], on))
            k++;
        if (k == n && n < max && strcmp(on, "*"))
            out[n++] = on;
    }
    return n;
}

enum { SUBJECTS_MAX = 256 };

static void general_help(const struct catalogue *c, struct text *out) {
    const char *on[SUBJECTS_MAX];
    size_t n = subjects(c, on, SUBJECTS_MAX);
    text_add(out, "suan runs compute centres: one estate, one scheduler, one twin.\n\n");
    for (size_t i = 0; i < command_count; i++)
        text_addf(out, "  suan %-9s %-26s %s\n", commands[i].word, commands[i].usage, commands[i].doc);
    text_add(out, "\n  suan ON VERB [NAME] [FIELD=VALUE…], where ON is one of\n   ");
    size_t column = 3;
    for (size_t i = 0; i < n; i++) {
        if (column + strlen(on[i]) > 76) {
            text_add(out, "\n   ");
            column = 3;
        }
        text_addf(out, " %s", on[i]);
        column += strlen(on[i]) + 1;
    }
    text_add(out, "\n\n  suan help ON        its verbs and fields        suan help ON VERB    one verb\n\noptions:\n");
    options_usage(out);
}

/* -- manual page -- */

static void roff(struct text *out, const char *s) {
    if (*s == '.' || *s == '\'')
        text_add(out, "\\&");
    for (; *s; s++) {
        if (*s == '\\' || *s == '-')
            text_add_char(out, '\\');
        text_add_char(out, *s);
    }
}

static void man(const struct catalogue *c, struct text *out) {
    const char *on[SUBJECTS_MAX];
    size_t n = subjects(c, on, SUBJECTS_MAX);
    text_add(out, ".TH SUAN 1 \"\" \"Suan " SUAN_VERSION "\" \"Suan\"\n.SH NAME\nsuan \\- run compute centres\n.SH SYNOPSIS\n");
    for (size_t i = 0; i < command_count; i++) {
        text_addf(out, ".B suan %s\n", commands[i].word);
        roff(out, commands[i].usage);
        text_add(out, "\n.br\n");
    }
    text_add(out, ".B suan\nON VERB [NAME] [FIELD=VALUE...]\n.SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) {
        text_addf(out, ".TP\n.B %s\n", commands[i].word);
        roff(out, commands[i].doc);
        text_add_char(out, '\n');
    }
    text_add(out, ".SH OPTIONS\n");
    for (size_t i = 0; i < option_count; i++) {
        text_add(out, ".TP\n.B ");
        roff(out, option_rows[i].name);
        text_addf(out, " %s\n", option_rows[i].value ? option_rows[i].value : "");
        roff(out, option_rows[i].doc);
        text_add_char(out, '\n');
    }
    text_add(out, ".SH VERBS\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < verbs_count(c->verbs); k++) {
            const struct verb *v = verbs_at(c->verbs, k);
            struct text usage = TEXT_INIT;
            if (strcmp(v->on, on[i]))
                continue;
            verb_usage(on[i], v, &usage);
            text_add(out, ".TP\n.B ");
            roff(out, text_str(&usage));
            text_add_char(out, '\n');
            roff(out, v->doc);
            text_add_char(out, '\n');
            text_free(&usage);
        }
    text_add(out, ".SH ENVIRONMENT\n.B SUAN_STATE, SUAN_URL, SUAN_TOKEN_FILE\n: as \\-\\-state, \\-\\-url, \\-\\-token\\-file.\n"
                  ".SH EXIT STATUS\n0 when all went well, 1 with a message otherwise.\n");
}

/* -- reference page, Markdown -- */

static void cell(struct text *out, const char *s) {
    for (; *s; s++)
        text_addf(out, "%s%c", *s == '|' ? "\\" : "", *s);
}

static void fields_markdown(const struct table *t, struct text *out) {
    text_add(out, "\n| field | what | values |\n|---|---|---|\n");
    for (uint32_t i = 0; i < t->nfields; i++) {
        struct text type = TEXT_INIT;
        type_text(&t->fields[i], &type);
        text_addf(out, "| `%s` | ", t->fields[i].name);
        cell(out, t->fields[i].doc);
        text_add(out, " | ");
        cell(out, text_str(&type));
        text_add(out, " |\n");
        text_free(&type);
    }
}

static void kinds_markdown(const struct catalogue *c, struct text *out) {
    for (size_t i = 0; i < estate_kind_count(c->estate); i++) {
        const struct kind *k = estate_kind_at(c->estate, i);
        text_addf(out, "\n## %s: %s\n\n%s\n", k->name, k->title, k->doc);
        fields_markdown(k->table, out);
        if (k->states) {
            text_add(out, "\n```mermaid\n");
            machine_draw(k->states, out);
            text_add(out, "```\n");
        }
    }
}

static void caps_markdown(struct text *out) {
    for (size_t i = 0; app_caps[i]; i++) {
        const struct cap *p = app_caps[i];
        text_addf(out, "\n## capability %s: %s (%s, %s)\n", p->name, p->title, p->family, maturity_words[p->maturity]);
        if (p->config)
            fields_markdown(p->config, out);
        for (size_t k = 0; k < p->ngoals; k++)
            text_addf(out, "%s- goal `%s`: %.6g %s, %s is better; measured by `%s`. %s\n", k ? "" : "\n", p->goals[k].name,
                      p->goals[k].target, p->goals[k].unit, p->goals[k].better, p->goals[k].measured_by, p->goals[k].doc);
    }
}

static void markdown(const struct catalogue *c, struct text *out) {
    text_add(out, "# Suan reference\n\nPrinted by `suan reference` from the tables; do not edit.\n");
    kinds_markdown(c, out);
    text_add(out, "\n## Verbs\n\n| verb | role | what |\n|---|---|---|\n");
    for (size_t i = 0; i < verbs_count(c->verbs); i++) {
        const struct verb *v = verbs_at(c->verbs, i);
        struct text usage = TEXT_INIT;
        verb_usage(!strcmp(v->on, "*") ? "KIND" : v->on, v, &usage);
        text_add(out, "| `");
        cell(out, text_str(&usage));
        text_addf(out, "` | %s | ", role_words[v->role]);
        cell(out, v->doc);
        text_add(out, " |\n");
        text_free(&usage);
    }
    caps_markdown(out);
}

/* -- completion -- */

static void completion(const struct catalogue *c, struct text *out) {
    const char *on[SUBJECTS_MAX];
    size_t n = subjects(c, on, SUBJECTS_MAX);
    text_add(out, "# bash completion of suan: source <(suan completion)\n_suan() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n"
                  "  case $cur in --*) COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < option_count; i++)
        text_addf(out, "%s ", option_rows[i].name);
    text_add(out, "' -- \"$cur\")); return;; esac\n  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < command_count; i++)
        text_addf(out, "%s ", commands[i].word);
    for (size_t i = 0; i < n; i++)
        text_addf(out, "%s ", on[i]);
    text_add(out, "' -- \"$cur\")); return; fi\n  if [ \"$COMP_CWORD\" = 2 ]; then case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < n; i++) {
        text_addf(out, "    %s) COMPREPLY=($(compgen -W '", on[i]);
        for (size_t k = 0; k < verbs_count(c->verbs); k++)
            if (belongs(c, verbs_at(c->verbs, k), on[i]))
                text_addf(out, "%s ", verbs_at(c->verbs, k)->name);
        text_add(out, "' -- \"$cur\")); return;;\n");
    }
    text_add(out, "  esac; fi\n  COMPREPLY=($(compgen -f -- \"$cur\"))\n}\ncomplete -F _suan suan\n");
}

static bool is_subject(const struct catalogue *c, const char *on) {
    const char *all[SUBJECTS_MAX];
    size_t n = subjects(c, all, SUBJECTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i], on))
            return true;
    return false;
}

static int help(const struct catalogue *c, const char *on, const char *verb, struct text *out, struct err *e) {
    const struct verb *v = on ? verbs_find(c->verbs, "system", on) : NULL;
    int rc = 0;
    if (!on) {
        general_help(c, out);
    } else if (v && !verb) {
        verb_help("system", v, out);
    } else if (!verb && is_subject(c, on)) {
        on_help(c, on, out);
    } else if (!(rc = catalogue_find(c, on, verb ? verb : "", &v, e))) {
        verb_help(on, v, out);
    }
    return rc;
}

static int help_words(const struct catalogue *c, const struct options *o, struct text *out, struct err *e) {
    size_t first = o->n_words && !strcmp(o->words[0], "help") ? 1 : 0;
    return help(c, o->n_words > first ? o->words[first] : NULL, o->n_words > first + 1 ? o->words[first + 1] : NULL, out, e);
}

int command_reference(const struct options *o, struct err *e) {
    struct catalogue c;
    struct text out = TEXT_INIT;
    const char *what = o->n_words && !o->help ? o->words[0] : "help";
    int rc = 0;
    catalogue_open(&c);
    if (!strcmp(what, "man"))
        man(&c, &out);
    else if (!strcmp(what, "reference"))
        markdown(&c, &out);
    else if (!strcmp(what, "completion"))
        completion(&c, &out);
    else
        rc = help_words(&c, o, &out, e);
    if (!rc)
        fwrite(text_str(&out), 1, out.n, stdout);
    text_free(&out);
    catalogue_close(&c);
    return rc;
}

#include "base/machine.h"

#include <string.h>

bool machine_allows(const struct machine *m, int from, int to) {
    for (size_t i = 0; i < m->nedges; i++)
        if (m->edges[i].from == from && m->edges[i].to == to)
            return true;
    return false;
}

static const char *word(const struct machine *m, int state) {
    for (int i = 0; m->states[i]; i++)
        if (i == state)
            return m->states[i];
    return "?";
}

int machine_check(const struct machine *m, int from, int to, struct err *e) {
    if (machine_allows(m, from, to))
        return 0;
    err_set(e, E_STATE, "%s is %s and cannot become %s", m->name, word(m, from), word(m, to));
    char list[128] = "";
    for (size_t i = 0; i < m->nedges; i++)
        if (m->edges[i].from == from && strlen(list) + strlen(word(m, m->edges[i].to)) + 3 < sizeof list) {
            if (*list)
                strcat(list, ", ");
            strcat(list, word(m, m->edges[i].to));
        }
    err_hint(e, *list ? "from %s it can become: %s" : "%s is a final state%s", word(m, from), list);
    return E_STATE;
}

void machine_draw(const struct machine *m, struct text *out) {
    text_add(out, "stateDiagram-v2\n");
    text_addf(out, "    [*] --> %s\n", word(m, m->initial));
    for (size_t i = 0; i < m->nedges; i++)
        text_addf(out, "    %s --> %s: %s\n", word(m, m->edges[i].from), word(m, m->edges[i].to),
                  m->edges[i].why ? m->edges[i].why : "");
}

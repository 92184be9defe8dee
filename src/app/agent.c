/* `suan agentd`: where an agent finds its identity, its folder and its controller. */
#include "plane/agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "app/app.h"

int command_agent(const struct options *o, struct err *e) {
    char state[APP_PATH], folder[APP_PATH * 2], path[3][APP_PATH * 2], share[APP_PATH] = "", programs[APP_PATH] = "";
    char controller[APP_PATH + 32];
    const char *name = o->name ? o->name : o->n_words > 1 ? o->words[1] : NULL;
    if (!name || !str_is_name(name)) {
        err_set(e, E_INVAL, "which agent? its name in the estate is wanted");
        err_hint(e, "suan agentd --name zhangjiakou --state DIR");
        return E_INVAL;
    }
    int rc = place_state(o, state, e);
    if (rc)
        return rc;
    snprintf(path[0], sizeof path[0], "%s/pki/agent-%s.crt", state, name);
    snprintf(path[1], sizeof path[1], "%s/pki/agent-%s.key", state, name);
    snprintf(path[2], sizeof path[2], "%s/pki/ca.crt", state);
    snprintf(folder, sizeof folder, "%s/agents", state);
    if (mkdir(folder, 0711) && errno != EEXIST)
        return err_errno(e, errno, "cannot make the folder %s", folder);
    snprintf(folder, sizeof folder, "%s/agents/%s", state, name);
    snprintf(controller, sizeof controller, "%s/controller.json", state);
    if (!o->share && !place_shipped("share/data", share, NULL))
        *strrchr(share, '/') = '\0';
    if (!o->programs)
        place_shipped("share/jobs/bin", programs, NULL);
    struct agent_config c = {
        .name = name, .folder = folder, .controller_file = controller, .cert = path[0], .key = path[1], .ca = path[2],
        .share = o->share ? o->share : *share ? share : NULL,
        .programs = o->programs ? o->programs : *programs ? programs : NULL,
        .address = o->address ? o->address : "127.0.0.1",
    };
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return agent_run(&c, e);
}

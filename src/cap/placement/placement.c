/* Placement: life cycle only. What it decides is in decide.c. */
#include "cap/placement/placement.h"

#include <stdlib.h>

static const struct field config_fields[] = {
    FIELD_TEXT(struct placement_config, policy, .dflt = "balanced", .doc = "Scheduling policy when a job names none."),
    FIELD_REAL(struct placement_config, carbon_cny_per_kg, .unit = "CNY/kg", .min = 0, .max = 100, .dflt = "0.09",
               .doc = "Price put on carbon; the default is near the national market's of 2024."),
    FIELD_REAL(struct placement_config, time_cny_per_h, .unit = "CNY/h", .min = 0, .max = 1e6, .dflt = "1",
               .doc = "Value of an hour of waiting."),
    FIELD_REAL(struct placement_config, default_core_s, .unit = "s", .min = 0, .max = 1e9, .dflt = "60",
               .doc = "CPU time assumed for work that was never seen."),
    FIELD_SPAN(struct placement_config, lease_us, .dflt = "30s", .doc = "An agent that hears nothing for this long stops its tasks."),
    FIELD_SPAN(struct placement_config, lease_margin_us, .min = 3e6, .max = 3600e6, .dflt = "10s",
               .doc = "Waited on top before work is placed again: covers the 2 s in which an executor ends its tasks."),
    FIELD_INT(struct placement_config, jobs_max, .min = 1, .max = 1000000, .dflt = "10000", .doc = "Unfinished jobs at once."),
    FIELD_INT(struct placement_config, tasks_max, .min = 1, .max = 1000000, .dflt = "50000", .doc = "Unfinished tasks at once; each costs 17 kB."),
    FIELD_INT(struct placement_config, tasks_kept, .min = 0, .max = 1000000, .dflt = "10000",
              .doc = "Tasks of ended jobs that are kept; with more, the jobs that ended first are dropped."),
};
const struct table placement_config_table = TABLE(placement_config, config_fields, "How work is placed.");

static const char *const watches[] = {"task", "agent", "node", "tenant", NULL};

static const struct goal goals[] = {
    {"job-start", 20, 5, "ms", "lower", "bench/run job-start", "From submission to the first instruction, median."},
    {"agent-spawn", 800, 2000, "1/s", "higher", "bench/run agent-spawn", "Processes started and reaped through one agent."},
};

static int start(struct host *h, const void *config, void **state, struct err *e) {
    struct placement *p = calloc(1, sizeof *p);
    (void)e;
    p->host = h;
    p->config = config;
    p->sched = sched_new(h->estate);
    *state = p;
    placement_resume(p);
    executor_on_report(h, reconcile_report, p);
    executor_on_instances(h, function_instances);
    timer_in(h->loop, &p->lease_timer, p->config->lease_us / 4, reconcile_tick, p);
    return 0;
}

static void stop(struct host *h, void *state) {
    struct placement *p = state;
    executor_on_report(h, NULL, NULL);
    timer_cancel(h->loop, &p->lease_timer);
    sched_free(p->sched);
    vec_free(&p->ready);
    vec_free(&p->agents);
    free(p);
}

const struct cap cap_placement = {
    .name = "placement",
    .title = "Placement",
    .title_zh = "作业放置",
    .family = "compute",
    .maturity = EXPERIMENTAL,
    .config = &placement_config_table,
    .verbs = placement_verbs,
    .nverbs = PLACEMENT_VERBS,
    .goals = goals,
    .ngoals = sizeof goals / sizeof goals[0],
    .mode = MODE_ACT,
    .watches = watches,
    .decide = placement_decide,
    .apply = placement_apply,
    .act = placement_act,
    .start = start,
    .stop = stop,
};

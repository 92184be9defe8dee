/* The rows of the foundation's nouns. What a member means is said here, once. */
#include "estate/kinds.h"

#include <stdio.h>
#include <string.h>

const char *const figure_words[] = {"none", "default", "modelled", "measured", NULL};

#define SEEN .flags = F_STATE
#define FLOWS .flags = F_STATE | F_VOLATILE

/* -- electricity -- */

static const struct field grid_fields[] = {
    FIELD_TEXT(struct grid, title, .doc = "Name for people."),
    FIELD_REAL(struct grid, factor_kg_per_kwh, .unit = "kg/kWh", .min = 0, .max = 5,
               .doc = "Average emission factor, location based."),
    FIELD_TEXT(struct grid, factor_source, .doc = "Where the factor comes from."),
    FIELD_ARRAY(struct grid, price_per_kwh, FIELD_REAL, double, .unit = "CNY/kWh",
                .doc = "Price by local hour; one value is a flat price."),
    FIELD_TEXT(struct grid, price_source, .doc = "Where the prices come from."),
    FIELD_REAL(struct grid, utc_offset_h, .unit = "h", .min = -12, .max = 14, .dflt = "8", .doc = "Local time minus UTC."),
};
static const struct table grid_table = TABLE(grid, grid_fields, "An electricity grid region.");
const struct kind kind_grid = {"grid", "Grid region", "电网区域", &grid_table, NULL, NULL, KIND_DURABLE,
                               "What a kWh costs and emits in one grid region."};

/* -- places -- */

static const char *const centre_words[] = {"unknown", "up", "cut-off", NULL};
static const struct edge centre_edges[] = {
    {CENTRE_UNKNOWN, CENTRE_UP, "its agent came"},   {CENTRE_UP, CENTRE_CUT_OFF, "its agent was not heard for a lease"},
    {CENTRE_CUT_OFF, CENTRE_UP, "its agent is back"}, {CENTRE_UNKNOWN, CENTRE_CUT_OFF, "its agent never came"},
};
static const struct machine centre_states = {"centre", centre_words, centre_edges, 4, CENTRE_UNKNOWN};
static const struct field centre_fields[] = {
    FIELD_TEXT(struct centre, title, .doc = "Name for people."),
    FIELD_TEXT(struct centre, title_zh, .doc = "Name in Chinese."),
    FIELD_REF(struct centre, grid, .ref = "grid", .doc = "Grid region that feeds it."),
    FIELD_REF(struct centre, owner, .ref = "tenant", .doc = "Tenant that owns it."),
    FIELD_REAL(struct centre, latitude_deg, .unit = "deg", .min = -90, .max = 90, .doc = "Latitude, north positive."),
    FIELD_REAL(struct centre, longitude_deg, .unit = "deg", .min = -180, .max = 180, .doc = "Longitude, east positive."),
    FIELD_REAL(struct centre, wet_bulb_mean_c, .unit = "degC", .min = -40, .max = 40, .dflt = "10",
               .doc = "Yearly mean wet bulb, for the twin's weather."),
    FIELD_REAL(struct centre, wet_bulb_amplitude_c, .unit = "degC", .min = 0, .max = 40, .dflt = "12",
               .doc = "Half the yearly swing of the wet bulb, for the twin's weather."),
    FIELD_REAL(struct centre, pue_ratio, .unit = "1", .min = 1, .max = 5, .dflt = "1.3",
               .doc = "Design PUE, used until it is measured."),
    FIELD_REAL(struct centre, power_limit_w, .unit = "W", .min = 0, .max = 1e10, .doc = "Grid connection; 0 = not stated."),
    FIELD_ENUM(struct centre, state, .words = centre_words, SEEN, .doc = "Whether its agent is heard."),
    FIELD_REAL(struct centre, power_w, .unit = "W", FLOWS, .doc = "Drawn now."),
    FIELD_REAL(struct centre, carbon_g_per_h, .unit = "g/h", FLOWS, .doc = "Emitted now."),
    FIELD_INT(struct centre, cores_total, FLOWS, .doc = "Cores of all its nodes."),
    FIELD_INT(struct centre, cores_used, FLOWS, .doc = "Cores reserved by placed work."),
    FIELD_TIME(struct centre, agent_seen_us, FLOWS, .doc = "Last word from its agent."),
};
static const struct table centre_table = TABLE(centre, centre_fields, "A compute centre.");
const struct kind kind_centre = {"centre", "Centre", "算力中心", &centre_table, NULL, &centre_states, KIND_DURABLE,
                                 "A compute centre: one site, one grid connection, one agent at least."};

static const char *const below_centre[] = {"centre", NULL}, *const below_hall[] = {"hall", NULL},
                                *const below_rack[] = {"rack", NULL}, *const below_job[] = {"job", NULL};

static const struct field hall_fields[] = {
    FIELD_TEXT(struct hall, title, .doc = "Name for people."),
    FIELD_REAL(struct hall, power_limit_w, .unit = "W", .min = 0, .max = 1e10, .doc = "Feed limit; 0 = not stated."),
    FIELD_REAL(struct hall, power_w, .unit = "W", FLOWS, .doc = "Drawn now."),
};
static const struct table hall_table = TABLE(hall, hall_fields, "A hall of racks.");
const struct kind kind_hall = {"hall", "Hall", "机房", &hall_table, below_centre, NULL, KIND_DURABLE, "A room of racks."};

static const struct field rack_fields[] = {
    FIELD_INT(struct rack, height_u, .unit = "U", .min = 1, .max = 60, .dflt = "42", .doc = "Height."),
    FIELD_REAL(struct rack, budget_w, .unit = "W", .min = 0, .max = 1e6, .flags = F_LIVE_SAFE,
               .doc = "Power that must not be exceeded; 0 = none."),
    FIELD_REAL(struct rack, supply_c, .unit = "degC", .min = 5, .max = 60, .dflt = "22", .doc = "Supply temperature."),
    FIELD_REAL(struct rack, thermal_mass_j_per_k, .unit = "J/K", .min = 1, .max = 1e9, .dflt = "150000",
               .doc = "Heat capacity of its air and metal, for the twin."),
    FIELD_REAL(struct rack, conductance_w_per_k, .unit = "W/K", .min = 1, .max = 1e6, .dflt = "2500",
               .doc = "Heat carried off per kelvin above supply, for the twin."),
    FIELD_REAL(struct rack, power_w, .unit = "W", FLOWS, .doc = "Drawn now."),
    FIELD_REAL(struct rack, inlet_c, .unit = "degC", FLOWS, .doc = "Air temperature."),
};
static const struct table rack_table = TABLE(rack, rack_fields, "A rack.");
const struct kind kind_rack = {"rack", "Rack", "机柜", &rack_table, below_hall, NULL, KIND_DURABLE, "A rack of nodes."};

/* -- catalogue -- */

static int curve_check(const void *object, const struct field *f, struct err *e) {
    const struct model *m = object;
    (void)f;
    if (m->n_power_curve_w != 0 && m->n_power_curve_w != 2 && m->n_power_curve_w != POWER_POINTS)
        return err_set(e, E_INVAL, "power_curve_w: %u points; 2 (idle, full) or 11 (every 10 %%) are wanted",
                       m->n_power_curve_w);
    for (uint32_t i = 0; i < m->n_power_curve_w; i++)
        if (m->power_curve_w[i] < 0 || (i && m->power_curve_w[i] < m->power_curve_w[i - 1]))
            return err_set(e, E_INVAL, "power_curve_w: point %u (%g W) is below the one before", i + 1,
                           m->power_curve_w[i]);
    return 0;
}

static const struct field model_fields[] = {
    FIELD_TEXT(struct model, maker, .doc = "Who makes it."),
    FIELD_TEXT(struct model, arch, .dflt = "x86_64", .doc = "CPU architecture: x86_64, aarch64, riscv64, loongarch64."),
    FIELD_INT(struct model, cores, .min = 1, .max = 4096, .dflt = "64", .doc = "CPU cores."),
    FIELD_INT(struct model, memory_bytes, .unit = "B", .min = 1, .max = 1e15, .dflt = "256 GiB", .doc = "Main memory."),
    FIELD_TEXT(struct model, accelerator, .doc = "Accelerator model, empty = none."),
    FIELD_TEXT(struct model, accelerator_family, .dflt = "none",
               .doc = "Software family of the accelerator: nvidia, ascend, cambricon, hygon … or none."),
    FIELD_INT(struct model, accelerators, .min = 0, .max = 1024, .doc = "How many."),
    FIELD_INT(struct model, accelerator_memory_bytes, .unit = "B", .min = 0, .max = 1e13, .doc = "Memory of each."),
    FIELD_REAL(struct model, accelerator_tflops, .unit = "TFLOP/s", .min = 0, .max = 1e6,
               .doc = "Dense 16-bit speed of each, nameplate."),
    FIELD_ARRAY(struct model, power_curve_w, FIELD_REAL, double, .unit = "W", .check = curve_check,
                .doc = "Power at 0, 10 … 100 % load; two values are a straight line."),
    FIELD_TEXT(struct model, power_source, .doc = "Where the curve comes from."),
    FIELD_REAL(struct model, cap_min_w, .unit = "W", .min = 0, .max = 1e6, .doc = "Lowest power cap its firmware accepts."),
    FIELD_REAL(struct model, embodied_kg, .unit = "kg", .min = 0, .max = 1e6, .doc = "CO2e of making it."),
    FIELD_REAL(struct model, price_per_core_h, .unit = "CNY/h", .min = 0, .max = 1e4, .doc = "Price of a core for an hour."),
};
static const struct table model_table = TABLE(model, model_fields, "A model of server.");
const struct kind kind_model = {"model", "Server model", "服务器型号", &model_table, NULL, NULL, KIND_DURABLE,
                                "A kind of server; its accelerators are described by fields, not by code."};

static const struct field tenant_fields[] = {
    FIELD_TEXT(struct tenant, title, .doc = "Name for people."),
    FIELD_INT(struct tenant, quota_cores, .min = 0, .max = 1e9, .doc = "Cores its tasks may use at once; 0 = no limit."),
    FIELD_INT(struct tenant, used_cores, FLOWS, .doc = "Cores it uses now."),
};
static const struct table tenant_table = TABLE(tenant, tenant_fields, "A tenant.");
const struct kind kind_tenant = {"tenant", "Tenant", "租户", &tenant_table, NULL, NULL, KIND_DURABLE,
                                 "Who owns centres and runs work."};

/* -- machines -- */

static const char *const node_words[] = {"up", "down", "drained", NULL};
static const struct edge node_edges[] = {
    {NODE_UP, NODE_DOWN, "it stopped answering"}, {NODE_DOWN, NODE_UP, "it answers again"},
    {NODE_UP, NODE_DRAINED, "an operator drained it"}, {NODE_DRAINED, NODE_UP, "an operator returned it"},
    {NODE_DRAINED, NODE_DOWN, "it was switched off"},
};
static const struct machine node_states = {"node", node_words, node_edges, 5, NODE_UP};
static const struct field node_fields[] = {
    FIELD_REF(struct node, model, .ref = "model", .flags = F_REQUIRED, .doc = "What it is."),
    FIELD_INT(struct node, position_u, .unit = "U", .min = 0, .max = 60, .doc = "Lowest rack unit; 0 = not stated."),
    FIELD_INT(struct node, priority, .min = 0, .max = 9, .dflt = "5", .doc = "For power capping: lower is capped first."),
    FIELD_TEXT(struct node, backend, .dflt = "twin", .doc = "How its management controller is reached."),
    FIELD_ENUM(struct node, state, .words = node_words, SEEN, .doc = "Whether it takes work."),
    FIELD_REAL(struct node, power_w, .unit = "W", FLOWS, .doc = "Drawn now."),
    FIELD_REAL(struct node, utilisation_ratio, .unit = "1", FLOWS, .doc = "Load now."),
    FIELD_REAL(struct node, cap_w, .unit = "W", FLOWS, .doc = "Power cap in force; 0 = none."),
    FIELD_REAL(struct node, temperature_c, .unit = "degC", FLOWS, .doc = "Inlet temperature."),
    FIELD_INT(struct node, cores_used, FLOWS, .doc = "Cores reserved by placed work."),
    FIELD_INT(struct node, memory_used_bytes, .unit = "B", FLOWS, .doc = "Memory reserved by placed work."),
};
static const struct table node_table = TABLE(node, node_fields, "A server.");
const struct kind kind_node = {"node", "Node", "节点", &node_table, below_rack, &node_states,
                               KIND_DURABLE | KIND_DEVICE, "A server in a rack."};

static const struct field pdu_fields[] = {
    FIELD_TEXT(struct pdu, backend, .dflt = "twin", .doc = "How it is reached: twin, modbus:host=…,port=…,unit=…."),
    FIELD_INT(struct pdu, outlets, .min = 1, .max = 48, .dflt = "24", .doc = "Switched outlets."),
    FIELD_REAL(struct pdu, limit_w, .unit = "W", .min = 0, .max = 1e6, .dflt = "60 kW", .doc = "Trips above this."),
    FIELD_REAL(struct pdu, power_w, .unit = "W", FLOWS, .doc = "Drawn now."),
    FIELD_ARRAY(struct pdu, outlet_on, FIELD_BOOL, bool, SEEN, .doc = "Which outlets are on."),
    FIELD_TIME(struct pdu, read_us, FLOWS, .doc = "When it was last read."),
};
static const struct table pdu_table = TABLE(pdu, pdu_fields, "A rack power distribution unit.");
const struct kind kind_pdu = {"pdu", "PDU", "配电单元", &pdu_table, below_rack, NULL, KIND_DURABLE | KIND_DEVICE,
                              "Switched outlets, a power reading and a limit."};

static int ends_check(const void *object, const struct field *f, struct err *e) {
    const struct link *l = object;
    (void)f;
    return l->from == l->to ? err_set(e, E_INVAL, "to: a link needs two different ends") : 0;
}
static const struct field link_fields[] = {
    FIELD_REF(struct link, from, .ref = "centre", .flags = F_REQUIRED, .doc = "One end."),
    FIELD_REF(struct link, to, .ref = "centre", .flags = F_REQUIRED, .check = ends_check, .doc = "The other end."),
    FIELD_REAL(struct link, delay_us, .unit = "us", .min = 0, .max = 1e7, .doc = "One-way delay."),
    FIELD_REAL(struct link, bandwidth_bps, .unit = "bit/s", .min = 0, .max = 1e15, .doc = "Bandwidth, each way."),
    FIELD_REAL(struct link, price_per_gb, .unit = "CNY/GB", .min = 0, .max = 1e4, .doc = "Price of 10^9 bytes."),
    FIELD_REAL(struct link, used_bps, .unit = "bit/s", FLOWS,
               .doc = "Mean of the last minute, by the sizes of what tasks had fetched over it."),
};
static const struct table link_table = TABLE(link, link_fields, "A link between two centres.");
const struct kind kind_link = {"link", "Link", "链路", &link_table, NULL, NULL, KIND_DURABLE,
                               "A wide-area link; carries both directions."};

static const char *const agent_words[] = {"away", "connected", "lapsed", NULL};
static const struct edge agent_edges[] = {
    {AGENT_AWAY, AGENT_CONNECTED, "it came with its certificate"},
    {AGENT_CONNECTED, AGENT_AWAY, "the connection ended; its lease still runs"},
    {AGENT_AWAY, AGENT_LAPSED, "its lease ended: it has stopped its tasks by itself"},
    {AGENT_LAPSED, AGENT_CONNECTED, "it is back and gets a new lease"},
};
static const struct machine agent_states = {"agent", agent_words, agent_edges, 4, AGENT_AWAY};
static const struct field agent_fields[] = {
    FIELD_REF(struct agent, centre, .ref = "centre", .doc = "Centre it works for."),
    FIELD_TEXT(struct agent, backend, .dflt = "agent", .doc = "What runs the work: agent, twin, slurm …."),
    FIELD_TEXT(struct agent, fingerprint, SEEN, .doc = "SHA-256 of the certificate it showed."),
    FIELD_ENUM(struct agent, state, .words = agent_words, SEEN, .doc = "Whether it is heard."),
    FIELD_INT(struct agent, pid, FLOWS, .doc = "Its process."),
    FIELD_TIME(struct agent, seen_us, FLOWS, .doc = "Last word from it."),
    FIELD_TIME(struct agent, lease_until_us, FLOWS, .doc = "It stops its tasks by itself after this."),
    FIELD_INT(struct agent, epoch, SEEN, .doc = "Grows with each connection: fencing."),
    FIELD_INT(struct agent, running, FLOWS, .doc = "Tasks placed with it that have not ended."),
    FIELD_TEXT(struct agent, address, FLOWS, .doc = "Where peers fetch data from it."),
};
static const struct table agent_table = TABLE(agent, agent_fields, "A node agent.");
const struct kind kind_agent = {"agent", "Agent", "代理", &agent_table, below_centre, &agent_states,
                                KIND_DURABLE | KIND_DEVICE, "The process that runs work in a centre."};

/* -- work -- */

#define FIGURE(M, D) FIELD_ENUM(struct account, M, .words = figure_words, .doc = D)
static const struct field account_fields[] = {
    FIELD_REAL(struct account, wall_s, .unit = "s", .doc = "Elapsed time."),
    FIELD_REAL(struct account, cpu_s, .unit = "s", .doc = "CPU time."),
    FIGURE(cpu_source, "Where the CPU time comes from."),
    FIELD_REAL(struct account, energy_kwh, .unit = "kWh", .doc = "Energy with its share of idle and of the building."),
    FIGURE(energy_source, "Where the energy comes from."),
    FIELD_REAL(struct account, carbon_kg, .unit = "kg", .doc = "CO2e of that energy."),
    FIGURE(carbon_source, "Where the carbon comes from."),
    FIELD_REAL(struct account, cost_cny, .unit = "CNY", .doc = "Energy, reserved cores and moved data."),
    FIGURE(cost_source, "Where the cost comes from."),
    FIELD_REAL(struct account, moved_bytes, .unit = "B", .doc = "Moved between centres for it."),
};
const struct table table_account = TABLE(account, account_fields, "What work has spent.");

static const char *const job_words[] = {"queued", "running", "done", "failed", "cancelled", NULL};
static const struct edge job_edges[] = {
    {JOB_QUEUED, JOB_RUNNING, "its first task was placed"}, {JOB_RUNNING, JOB_DONE, "all its tasks are done"},
    {JOB_RUNNING, JOB_FAILED, "a task failed for good"},    {JOB_QUEUED, JOB_CANCELLED, "somebody cancelled it"},
    {JOB_RUNNING, JOB_CANCELLED, "somebody cancelled it"},
};
static const struct machine job_states = {"job", job_words, job_edges, 5, JOB_QUEUED};
static const char *const job_type_words[] = {"batch", "function", "train", NULL};
static const struct field job_fields[] = {
    FIELD_ENUM(struct job, type, .words = job_type_words, .doc = "What sort of work."),
    FIELD_REF(struct job, tenant, .ref = "tenant", .doc = "Whose it is."),
    FIELD_TEXT(struct job, user, SEEN, .doc = "Who submitted it."),
    FIELD_INT(struct job, priority, .min = -100, .max = 100, .dflt = "0", .doc = "Higher goes first."),
    FIELD_INT(struct job, retries_max, .min = 0, .max = 100, .dflt = "2", .doc = "How often a failing task is tried again."),
    FIELD_TEXT(struct job, policy, .doc = "Scheduling policy; empty = the configured one."),
    FIELD_INT(struct job, invocations_target, .min = 0, .max = 1e12, .doc = "A function job is done after this many; 0 = never."),
    FIELD_TIME(struct job, submitted_us, SEEN, .doc = "When it was submitted."),
    FIELD_ENUM(struct job, state, .words = job_words, SEEN, .doc = "How far it is."),
    FIELD_TIME(struct job, started_us, SEEN, .doc = "When its first task was placed."),
    FIELD_TIME(struct job, ended_us, SEEN, .doc = "When it ended."),
    FIELD_INT(struct job, tasks, SEEN, .doc = "Tasks in it."),
    FIELD_INT(struct job, tasks_done, SEEN, .doc = "Tasks done."),
    FIELD_INT(struct job, tasks_failed, SEEN, .doc = "Tasks failed for good."),
    FIELD_GROUP(struct job, account, struct account, .group = &table_account, SEEN, .doc = "Spent so far."),
    FIELD_TEXT(struct job, result, SEEN, .doc = "Its result, as the last task printed it."),
    FIELD_TEXT(struct job, reason, SEEN, .doc = "Why it failed or was cancelled."),
};
static const struct table job_table = TABLE(job, job_fields, "A job.");
const struct kind kind_job = {"job", "Job", "作业", &job_table, NULL, &job_states, KIND_DURABLE | KIND_RUNTIME,
                              "A graph of tasks, or a function, with its account."};

static const char *const task_words[] = {"waiting", "ready", "placed", "running", "done", "failed", "cancelled", NULL};
static const struct edge task_edges[] = {
    {TASK_WAITING, TASK_READY, "all it comes after is done"},
    {TASK_READY, TASK_PLACED, "the scheduler chose a centre"},
    {TASK_PLACED, TASK_RUNNING, "the agent reported its first instruction"},
    {TASK_PLACED, TASK_DONE, "it ended before it was seen running"},
    {TASK_PLACED, TASK_READY, "the attempt is over without a result"},
    {TASK_RUNNING, TASK_DONE, "it ended well"},
    {TASK_RUNNING, TASK_READY, "the attempt is over without a result"},
    {TASK_PLACED, TASK_FAILED, "its retries are spent"},
    {TASK_RUNNING, TASK_FAILED, "its retries are spent"},
    {TASK_WAITING, TASK_CANCELLED, "its job ended"},
    {TASK_READY, TASK_CANCELLED, "its job ended"},
    {TASK_PLACED, TASK_CANCELLED, "its job ended"},
    {TASK_RUNNING, TASK_CANCELLED, "its job ended"},
};
static const struct machine task_states = {"task", task_words, task_edges, sizeof task_edges / sizeof task_edges[0],
                                           TASK_WAITING};
static const struct field artifact_fields[] = {
    FIELD_TEXT(struct artifact_ref, name, .doc = "File name."),
    FIELD_REF(struct artifact_ref, task, .ref = "task", .doc = "Task that makes it."),
    FIELD_TEXT(struct artifact_ref, digest, .doc = "sha256 of its content."),
    FIELD_INT(struct artifact_ref, size_bytes, .unit = "B", .doc = "Size."),
    FIELD_REF(struct artifact_ref, centre, .ref = "centre", .doc = "Where it lies."),
};
const struct table table_artifact = TABLE(artifact_ref, artifact_fields, "A file made by a task.");
typedef char arg_text[160];
typedef char env_text[96];
static const struct field task_fields[] = {
    FIELD_ARRAY(struct task, argv, FIELD_TEXT, arg_text, .doc = "Program and arguments."),
    FIELD_ARRAY(struct task, env, FIELD_TEXT, env_text, .doc = "Environment, NAME=value."),
    FIELD_ARRAY(struct task, after, FIELD_REF, oid, .ref = "task", SEEN, .doc = "Tasks it comes after."),
    FIELD_ARRAY(struct task, inputs, FIELD_GROUP, struct artifact_ref, .group = &table_artifact, SEEN,
                .doc = "Files it gets in its input folder."),
    FIELD_ARRAY(struct task, outputs, FIELD_GROUP, struct artifact_ref, .group = &table_artifact, SEEN,
                .doc = "Files of its output folder that are kept."),
    FIELD_INT(struct task, cores, .min = 1, .max = 4096, .dflt = "1", .doc = "Cores it reserves."),
    FIELD_INT(struct task, memory_bytes, .unit = "B", .min = 1048576, .max = 1e15, .dflt = "256 MiB",
              .doc = "Memory limit."),
    FIELD_SPAN(struct task, time_limit_us, .dflt = "1h", .doc = "It is stopped after this."),
    FIELD_BOOL(struct task, checkpoints, .doc = "Keeps ckpt/latest across attempts and centres."),
    FIELD_TEXT(struct task, pin_centre, .doc = "Run in this centre only."),
    FIELD_ENUM(struct task, state, .words = task_words, SEEN, .doc = "How far it is."),
    FIELD_INT(struct task, attempt, SEEN, .doc = "Number of the newest attempt."),
    FIELD_INT(struct task, failures, SEEN, .doc = "Attempts that ended by its own fault."),
    FIELD_REF(struct task, centre, .ref = "centre", SEEN, .doc = "Where it was placed."),
    FIELD_REF(struct task, node, .ref = "node", SEEN, .doc = "Node whose cores it reserves."),
    FIELD_REF(struct task, agent, .ref = "agent", SEEN, .doc = "Agent that runs it."),
    FIELD_TIME(struct task, placed_us, SEEN, .doc = "When it was placed."),
    FIELD_TIME(struct task, started_us, SEEN, .doc = "Its first instruction."),
    FIELD_TIME(struct task, ended_us, SEEN, .doc = "When it ended."),
    FIELD_INT(struct task, exit_status, SEEN, .doc = "As waitpid gives it."),
    FIELD_TEXT(struct task, checkpoint, SEEN, .doc = "sha256 of its last checkpoint."),
    FIELD_INT(struct task, checkpoint_bytes, .unit = "B", SEEN, .doc = "Size of its last checkpoint."),
    FIELD_REF(struct task, checkpoint_centre, .ref = "centre", SEEN, .doc = "Where a copy of it lies."),
    FIELD_GROUP(struct task, account, struct account, .group = &table_account, SEEN, .doc = "Spent by the attempt that counted."),
    FIELD_TEXT(struct task, result, SEEN, .doc = "Its result line."),
    FIELD_TEXT(struct task, reason, SEEN, .doc = "Why it waits or ended."),
    FIELD_TEXT(struct task, why, SEEN, .doc = "Why it was placed there."),
    FIELD_INT(struct task, decision, SEEN, .doc = "Journal sequence of the placement; suan explain prints it."),
};
static const struct table task_table = TABLE(task, task_fields, "A task.");
const struct kind kind_task = {"task", "Task", "任务", &task_table, below_job, &task_states, KIND_DURABLE | KIND_RUNTIME,
                               "One process to run, once, somewhere."};

static const char *const function_words[] = {"idle", "warm", "failed", NULL};
static const struct edge function_edges[] = {
    {FUNCTION_IDLE, FUNCTION_WARM, "an invocation started an instance"},
    {FUNCTION_WARM, FUNCTION_IDLE, "the last instance stopped"},
    {FUNCTION_IDLE, FUNCTION_FAILED, "an instance cannot be started"},
    {FUNCTION_WARM, FUNCTION_FAILED, "an instance cannot be started"},
    {FUNCTION_FAILED, FUNCTION_WARM, "an invocation went well again"},
};
static const struct machine function_states = {"function", function_words, function_edges, 5, FUNCTION_IDLE};
static const struct field function_fields[] = {
    FIELD_ARRAY(struct function, argv, FIELD_TEXT, arg_text, .doc = "Program and arguments; one JSON line in, one out."),
    FIELD_REF(struct function, tenant, .ref = "tenant", .doc = "Whose it is."),
    FIELD_INT(struct function, cores, .min = 1, .max = 256, .dflt = "1", .doc = "Cores of an instance."),
    FIELD_INT(struct function, memory_bytes, .unit = "B", .min = 1048576, .max = 1e12, .dflt = "64 MiB",
              .doc = "Memory of an instance."),
    FIELD_INT(struct function, instances_max, .min = 1, .max = 256, .dflt = "4", .doc = "Instances at once."),
    FIELD_SPAN(struct function, idle_us, .dflt = "30s", .doc = "An idle instance stops after this."),
    FIELD_SPAN(struct function, timeout_us, .dflt = "5s", .doc = "Of one invocation."),
    FIELD_ENUM(struct function, state, .words = function_words, SEEN, .doc = "Whether an instance is warm."),
    FIELD_REF(struct function, centre, .ref = "centre", SEEN, .doc = "Where it runs."),
    FIELD_INT(struct function, instances, FLOWS, .doc = "Instances now."),
    FIELD_INT(struct function, invocations, SEEN, .doc = "Invocations so far."),
    FIELD_INT(struct function, failures, SEEN, .doc = "Of them failed."),
    FIELD_INT(struct function, cold_starts, SEEN, .doc = "Of them had to start an instance."),
    FIELD_GROUP(struct function, account, struct account, .group = &table_account, SEEN, .doc = "Spent so far."),
    FIELD_TEXT(struct function, why, SEEN, .doc = "Why it runs there."),
    FIELD_INT(struct function, decision, SEEN, .doc = "Journal sequence of the placement."),
};
static const struct table function_table = TABLE(function, function_fields, "A function.");
const struct kind kind_function = {"function", "Function", "函数", &function_table, NULL, &function_states,
                                   KIND_DURABLE | KIND_RUNTIME, "A program that answers calls, started on demand."};

const struct kind *const kinds_foundation[] = {&kind_grid, &kind_tenant, &kind_model, &kind_centre, &kind_hall,
                                               &kind_rack, &kind_node,   &kind_pdu,   &kind_link,   &kind_agent,
                                               &kind_job,  &kind_task,   &kind_function, NULL};

double model_power_w(const struct model *m, double load_ratio) {
    uint32_t n = m->n_power_curve_w;
    if (n < 2)
        return n ? m->power_curve_w[0] : 0;
    double at = (load_ratio < 0 ? 0 : load_ratio > 1 ? 1 : load_ratio) * (n - 1);
    uint32_t i = (uint32_t)at;
    if (i >= n - 1)
        return m->power_curve_w[n - 1];
    return m->power_curve_w[i] + (at - i) * (m->power_curve_w[i + 1] - m->power_curve_w[i]);
}

const struct link *centre_link(const struct estate *s, oid a, oid b) {
    for (oid i = 0; (i = estate_next(s, "link", i));) {
        const struct link *l = estate_get(s, i, link);
        if ((l->from == a && l->to == b) || (l->from == b && l->to == a))
            return l;
    }
    return NULL;
}

oid centre_agent(const struct estate *s, oid centre) {
    for (oid i = 0; (i = estate_next(s, "agent", i));)
        if (estate_get(s, i, agent)->centre == centre)
            return i;
    return 0;
}

/* The nouns of the foundation: what every compute centre has. Capabilities add theirs in their own folders.
 *
 * Containment:  hub region ─ centre ─ hall ─ rack ─ {pdu, node}     centre ─ agent     link (between centres)
 * Catalogue:    model (a kind of server, with its accelerators described by fields), grid (electricity), tenant
 * Work:         job ─ task       function                      (made by verbs, durable: estate/work.h)
 *
 * Structs are plain; what a member means is said once, by its row in kinds.c. */
#ifndef SUAN_ESTATE_KINDS_H
#define SUAN_ESTATE_KINDS_H

#include "estate/estate.h"
#include "estate/work.h"

enum { POWER_POINTS = 11, LABEL_TEXT = 96, BACKEND_TEXT = 128 };

/* An electricity grid region: what a kWh costs and emits. Source of every figure is named. */
struct grid {
    char title[LABEL_TEXT];
    double factor_kg_per_kwh;      /* average emission factor, location based */
    char factor_source[LABEL_TEXT];
    double price_per_kwh[24];      /* CNY, by local hour; one value = flat */
    uint32_t n_price_per_kwh;
    char price_source[LABEL_TEXT];
    double utc_offset_h;
};

struct centre {
    char title[LABEL_TEXT];
    char title_zh[LABEL_TEXT];
    oid grid;
    oid owner; /* tenant that owns the centre */
    double latitude_deg, longitude_deg;
    double wet_bulb_mean_c, wet_bulb_amplitude_c; /* yearly sine of the climate, for the twin */
    double pue_ratio;      /* design value, used until measured */
    double power_limit_w;  /* grid connection */
    /* state */
    int state;             /* centre_states */
    double power_w, carbon_g_per_h;
    int64_t cores_total, cores_used;
    int64_t agent_seen_us;
};

struct hall {
    char title[LABEL_TEXT];
    double power_limit_w;
    double power_w;
};

struct rack {
    int64_t height_u;
    double budget_w;       /* what powercap keeps */
    double supply_c;       /* coolant or air supply temperature */
    double thermal_mass_j_per_k, conductance_w_per_k; /* for the twin's air node */
    /* state */
    double power_w, inlet_c;
};

/* A kind of server, all families alike: the accelerator is described by fields. */
struct model {
    char maker[48];
    char arch[16];          /* CPU: x86_64, aarch64, riscv64, loongarch64 */
    int64_t cores;
    int64_t memory_bytes;
    char accelerator[48];   /* "H800", "Ascend 910B", "MLU370-X8", "" = none */
    char accelerator_family[32]; /* nvidia, ascend, cambricon, hygon, none */
    int64_t accelerators;
    int64_t accelerator_memory_bytes; /* each */
    double accelerator_tflops; /* dense BF16/FP16, each, nameplate */
    double power_curve_w[POWER_POINTS]; /* at 0, 10 … 100 % load; 2 points = straight line */
    uint32_t n_power_curve_w;
    char power_source[LABEL_TEXT]; /* "SPECpower 2023Q4-01234", "nameplate" … */
    double cap_min_w;       /* lowest power cap the firmware accepts */
    double embodied_kg;     /* CO2e of making it */
    double price_per_core_h; /* CNY */
};

struct node {
    oid model;
    int64_t position_u;
    int64_t priority;       /* for power capping: lower is capped first */
    char backend[BACKEND_TEXT]; /* "twin", "agent", … how the node is reached */
    /* state */
    int state;              /* node_states */
    double power_w, utilisation_ratio;
    double cap_w;           /* commanded; 0 = none */
    double temperature_c;
    int64_t cores_used;
    int64_t memory_used_bytes;
};

struct pdu {
    char backend[BACKEND_TEXT]; /* "twin", "modbus:host=127.0.0.1,port=1502,unit=1" */
    int64_t outlets;
    double limit_w;          /* trips above it */
    /* state */
    double power_w;
    bool outlet_on[48];
    uint32_t n_outlet_on;
    int64_t read_us;         /* when power_w was read */
};

struct link {
    oid from, to;            /* centres; carries both directions */
    double delay_us;         /* one way */
    double bandwidth_bps;
    double price_per_gb;     /* CNY per 10^9 bytes */
    double used_bps;
};

struct tenant {
    char title[LABEL_TEXT];
    int64_t quota_cores;     /* 0 = no limit */
    int64_t used_cores;
};

struct agent {
    oid centre;
    char backend[BACKEND_TEXT]; /* what runs the work: "agent", "twin" */
    char fingerprint[65];    /* SHA-256 of its certificate */
    int state;               /* agent_states */
    int64_t pid;
    int64_t seen_us;         /* last word from it */
    int64_t lease_until_us;  /* it stops its tasks by itself after this */
    int64_t epoch;           /* fencing: grows with each new lease holder */
    int64_t running;
    char address[64];        /* where peers fetch data from it */
};

extern const struct kind kind_grid, kind_centre, kind_hall, kind_rack, kind_model, kind_node, kind_pdu, kind_link,
    kind_tenant, kind_agent, kind_job, kind_task, kind_function;
/* NULL-terminated list of the above, parents before children. */
extern const struct kind *const kinds_foundation[];
extern const struct table table_account, table_artifact;

enum centre_state { CENTRE_UNKNOWN, CENTRE_UP, CENTRE_CUT_OFF };
enum node_state { NODE_UP, NODE_DOWN, NODE_DRAINED };
enum agent_presence { AGENT_AWAY, AGENT_CONNECTED, AGENT_LAPSED };
enum function_state { FUNCTION_IDLE, FUNCTION_WARM, FUNCTION_FAILED };

/* Power of a node of this model at a load 0..1: linear between the points of the curve. */
double model_power_w(const struct model *m, double load_ratio);
/* The direct link between two centres, either direction; NULL = none. */
const struct link *centre_link(const struct estate *s, oid a, oid b);
/* The agent that works for a centre: the first, should there be several; 0 = none. Content lies with it. */
oid centre_agent(const struct estate *s, oid centre);

#endif

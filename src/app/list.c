#include "app/list.h"

#include "cap/example/example.h"
#include "cap/metering/metering.h"
#include "cap/placement/placement.h"
#include "cap/powercap/powercap.h"
#include "device/class/executor.h"
#include "device/class/node.h"
#include "device/class/pdu.h"
#include "device/filter/filter.h"
#include "device/live/agent/agent.h"
#include "device/live/modbus/modbus.h"
#include "device/twin/executor.h"
#include "device/twin/twin.h"
#include "estate/kinds.h"

const struct cap *const app_caps[] = {&cap_metering, &cap_placement, &cap_powercap, &cap_example, NULL};

const struct device_class *const app_classes[] = {&class_pdu, &class_node, &class_executor, NULL};

const struct backend_ops *const app_backends[] = {&backend_twin_pdu,   &backend_twin_node,
                                                  &backend_agent,      &backend_twin_executor,
                                                  &backend_modbus_pdu, &filter_fault,
                                                  &filter_delay,       &filter_rate,
                                                  &filter_retry,       &filter_breaker,
                                                  &filter_record,      &filter_replay,
                                                  &filter_dry_run,     NULL};

size_t app_kinds(const struct kind *out[ESTATE_KINDS_MAX]) {
    size_t n = 0;
    for (size_t i = 0; kinds_foundation[i]; i++)
        out[n++] = kinds_foundation[i];
    for (size_t c = 0; app_caps[c]; c++)
        for (size_t i = 0; app_caps[c]->kinds && app_caps[c]->kinds[i] && n < ESTATE_KINDS_MAX; i++)
            out[n++] = app_caps[c]->kinds[i];
    return n;
}

/* The scenario runner itself: what is wrong is said with file and line, expectations can fail, time and statements mean
 * what scenario.h says, the same file gives the same state. */
#include <unistd.h>

#include "app/scenario.h"
#include "tap.h"

static char folder[512], source[512];
static struct scenario_result result;
static struct text report;
static struct err e;

static int run_with(const char *text, const struct scenario_options *o) {
    char path[600];
    snprintf(path, sizeof path, "%s/test.scn", folder);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    text_reset(&report);
    e = (struct err){0};
    int rc = scenario_run(path, o, &result, &report, &e);
    unlink(path);
    return rc;
}

static int run(const char *text) {
    struct scenario_options o = {0};
    return run_with(text, &o);
}

/* `text` may use {E} for the estate's line. */
static const char *with_estate(const char *text) {
    static char out[4096];
    snprintf(out, sizeof out, "estate %s/share/estates/rack.yaml\n%s", source, text);
    return out;
}

static void refused(const char *text, int line, const char *word, const char *name) {
    char place[40];
    int rc = run(with_estate(text));
    snprintf(place, sizeof place, "test.scn:%d", line);
    const char *at = strstr(e.place, place);
    if (!ok(rc < 0 && at && !at[strlen(place)] && (strstr(e.message, word) || strstr(e.hint, word)), name))
        printf("#   rc %d, place '%s', message '%s', hint '%s'\n", rc, e.place, e.message, e.hint);
}

static void test_wrong_files(void) {
    static char line[700];
    refused("\nlaod rack/c1-h1-r1 1\n", 3, "did you mean 'load'", "a misspelt statement gets a hint");
    refused("load rack/nowhere 1\n", 2, "rack/nowhere", "an object that the world has not");
    refused("load rack/c1-h1-r1 7\n", 2, "0..1", "a value out of range says the form");
    refused("expect rack/c1-h1-r1 colour == red\n", 2, "colour", "a field that is not there");
    refused("expect rack/c1-h1-r1 power_w ~ 3\n", 2, "~", "a comparison that is none");
    refused("expect rack/c1-h1-r1 power_w < 3 kg\n", 2, "kg", "a unit of another dimension");
    refused("expect no rack/c1-h1-r1 power_w < 3\n", 2, "no", "'no' before a comparison");
    refused("expect condition rack/c1-h1-r1 x loud\n", 2, "loud", "a severity that is none");
    refused("warp 5 parsecs\n", 2, "5", "a time that is none");
    refused("at 5m: warp 1s\n", 2, "form", "an 'at' without a plus says its form");
    refused("at +1m: warp 1s\nwarp 2m\n", 2, "at", "time inside an 'at'");
    refused("warp 2m\nat +1m: load rack/c1-h1-r1 1\n", 3, "past", "an 'at' that is past");
    refused("warp 1s\nseed 3\n", 3, "seed", "a seed that comes too late");
    refused("warp 1s\nbackend pdu twin\n", 3, "before time passes", "a backend that comes too late");
    refused("backend node modbus\n", 2, "pdu", "modbus for another class");
    refused("backend pdu twim\nwarp 1s\nverb pdu read c1-h1-r1-p1\nfilter pdu/c1-h1-r1-p1 fault\n", 5, "twi",
            "a backend that does not exist");
    refused("filter pdu/c1-h1-r1-p1 fault:rate=1\n", 2, "rate", "an option that the filter has not");
    refused("set rack/c1-h1-r1 budget_w=-1\n", 2, "budget_w", "a value that the field's row refuses");
    refused("set rack/c1-h1-r1 power_w=1\n", 2, "power_w", "a state field is not configuration");
    refused("verb cap made powercap\n", 2, "made", "a verb that does not exist");
    refused("verb cap mode powercap act extra\n", 2, "one word too many", "a word too many");
    refused("cut agent/c1-agent\n", 2, "executor", "an agent that is not the twin's cannot be cut");
    memset(line, 'x', 600);
    refused(line, 2, "bytes", "a line beyond its limit");
    ok(run("warp 1s\n") < 0 && strstr(e.message, "estate"), "a scenario without an estate");
    ok(run("estate nowhere.yaml\n") < 0 && strstr(e.message, "nowhere.yaml"), "an estate that is not there");
    struct scenario_options o = {0};
    ok(scenario_run("/nowhere.scn", &o, &result, &report, &e) == E_NOTFOUND, "a scenario that is not there");
}

static void test_expectations(void) {
    is_int(run(with_estate("load rack/c1-h1-r1 0.5\nwarp 1m\nexpect rack/c1-h1-r1 power_w > 1 MW\n"
                           "expect journal \"no such words\"\nexpect condition rack/c1-h1-r1 nothing\n"
                           "expect rack/c1-h1-r1 power_w > 1 kW\nexpect no condition rack/c1-h1-r1 nothing\n"
                           "always rack/c1-h1-r1 power_w < 2.2 kW\nat +2m: load rack/c1-h1-r1 1\nwarp 3m\n")),
           0, "a scenario whose expectations fail runs to its end");
    is_int(result.failed, 4, "and counts what failed");
    is_int(result.passed, 4, "and what held: with the journal's chain and the energy balance");
    ok(strstr(text_str(&report), "not ok 1 - test.scn:4: rack/c1-h1-r1 power_w > 1 MW") != NULL, "by file and line");
    ok(strstr(text_str(&report), "it is 1.8") != NULL, "with the value that was there");
    ok(strstr(text_str(&report), "--journal") != NULL, "and the command that repeats it");
    is_int(run(with_estate("verb cap mode nobody mode=act\nrefuse verb cap mode nobody mode=act\n"
                           "at +10s: verb cap mode nobody mode=act\nwarp 1m\n")),
           0, "verbs that fail are no end of the scenario");
    is_int(result.failed, 2, "but failed checks, at once or in an 'at'");
    is_int(result.passed, 3, "unless a refusal was expected");
}

static void test_time(void) {
    is_int(run(with_estate("start 2030-06-01T12:00:00Z\nverb cap mode powercap mode=act\nload rack/c1-h1-r1 0.1\n"
                           "at +30m: load rack/c1-h1-r1 0.9\nat +20m: expect rack/c1-h1-r1 power_w < 1.2 kW\n"
                           "at +29m59s: expect rack/c1-h1-r1 power_w < 1.2 kW\nat +31m: expect rack/c1-h1-r1 power_w > 1.2 kW\n"
                           "warp 1h\n")),
           0, "'at' counts from the start");
    is_int(result.failed, 0, "each at its time");
    struct scenario_options o = {.journal = true};
    run_with(with_estate("start 2030-06-01T12:00:00Z\nverb cap mode powercap mode=act\nload rack/c1-h1-r1 1\nwarp 1m\n"), &o);
    ok(strstr(text_str(&report), "# 2030-06-01T12:00:10Z decision powercap") != NULL, "the journal shows the plant's time");
}

static void test_same(void) {
    static const char text[] = "verb cap mode powercap mode=act\nset rack/c1-h1-r1 budget_w=1.9 kW\nwarp 2h\n";
    uint64_t hash[3];
    struct scenario_options o = {0};
    for (int i = 0; i < 3; i++) {
        o.seed = i == 2 ? "2" : "1";
        run_with(with_estate(text), &o);
        hash[i] = result.state_hash;
    }
    ok(hash[0] == hash[1], "the same seed ends in the same state");
    ok(hash[0] != hash[2], "another seed in another");
    o.seed = "1";
    o.extra = "set rack/c1-h1-r1 budget_w=1.8 kW";
    run_with(with_estate("verb cap mode powercap mode=act\nwarp 2h\n"), &o);
    ok(result.state_hash != hash[0], "and an extra statement of the caller changes it");
}

int main(int argc, char **argv) {
    const char *tmp = getenv("TMPDIR");
    snprintf(source, sizeof source, "%s", argc > 1 ? argv[1] : ".");
    snprintf(folder, sizeof folder, "%s/scenario-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        printf("Bail out! no temporary folder\n");
        return 1;
    }
    test_wrong_files();
    test_expectations();
    test_time();
    test_same();
    text_free(&report);
    rmdir(folder);
    return tap_done();
}

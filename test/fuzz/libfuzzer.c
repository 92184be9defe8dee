/* The libFuzzer driver of one target. */
#include "fuzz.h"

int FUZZ_TARGET(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) { return FUZZ_TARGET(p, n); }

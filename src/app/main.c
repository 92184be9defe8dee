#include "cap/placement/placement.h"
int main(void) { return !cap_placement.name; }

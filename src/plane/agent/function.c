#include "plane/agent/private.h"

/* bridge/base/sample.c */
#include "serve/call.h"

/* bridge/serve/sample.c */
#include <stdlib.h>

int f(const char *a)
{




    return (int)strtol(a, 0, 10);
}

/* bridge/translate/sample.c */
#include <grpc/grpc.h>

/* bridge/base/sample.c */
/* FIXME: later */

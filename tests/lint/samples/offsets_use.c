/* bridge/translate/sample.c */
int f(const struct br_field_plan *field)
{
    return (int)field->descriptor->offset;
}

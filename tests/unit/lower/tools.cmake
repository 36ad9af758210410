# Runs the build's tools on bad input. LOWER, SCHEMA_C: the tools; SET: a good set; DIR: where to write.

# expect(CODE PATTERN COMMAND...): the command ends with CODE and says PATTERN on standard error.
function(expect code pattern)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result ERROR_VARIABLE said)
  if(NOT result STREQUAL code OR NOT said MATCHES "${pattern}")
    message(SEND_ERROR "${ARGN}\n  ended with ${result}, expected ${code}; said: ${said}")
  endif()
endfunction()

file(REMOVE ${DIR}/tools_out.pb ${DIR}/tools_out.c)
file(WRITE ${DIR}/garbage.pb "not a descriptor set")

expect(0 "^$" ${LOWER} ${SET} ${DIR}/tools_lowered.pb)
expect(2 "usage" ${LOWER} ${SET})
expect(1 "missing.pb" ${LOWER} ${DIR}/missing.pb ${DIR}/tools_out.pb)
expect(1 "garbage.pb: not a descriptor set" ${LOWER} ${DIR}/garbage.pb ${DIR}/tools_out.pb)
expect(1 "no/such/dir" ${LOWER} ${SET} ${DIR}/no/such/dir/out.pb)

expect(0 "^$" ${SCHEMA_C} ${SET} ${DIR}/tools_schema.c services_a.proto)
expect(2 "usage" ${SCHEMA_C} ${SET} ${DIR}/tools_out.c)
expect(1 "missing.pb" ${SCHEMA_C} ${DIR}/missing.pb ${DIR}/tools_out.c services_a.proto)
expect(1 "garbage.pb: not a descriptor set" ${SCHEMA_C} ${DIR}/garbage.pb ${DIR}/tools_out.c services_a.proto)
expect(1 "services_x.proto: no file" ${SCHEMA_C} ${SET} ${DIR}/tools_out.c services_x.proto)
expect(1 "no/such/dir" ${SCHEMA_C} ${SET} ${DIR}/no/such/dir/out.c services_a.proto)

foreach(unwanted tools_out.pb tools_out.c)
  if(EXISTS ${DIR}/${unwanted})
    message(SEND_ERROR "a tool that failed has written ${unwanted}")
  endif()
endforeach()

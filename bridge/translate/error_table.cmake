# The vendor error table: error_codes.tsv, checked and compiled in.
#
# Include it before the target that uses it. It sets BRIDGE_ERROR_TABLE_C, a generated source file for that target,
# and makes the tool error-table. Needs the target br_base.
add_executable(error-table ${PROJECT_SOURCE_DIR}/gen/error_table.c ${CMAKE_CURRENT_LIST_DIR}/error_row.c
               ${CMAKE_CURRENT_LIST_DIR}/vendor_code.c)
target_link_libraries(error-table PRIVATE br_base)

set(BRIDGE_ERROR_TABLE_C ${CMAKE_CURRENT_BINARY_DIR}/error_codes.c)
add_custom_command(
  OUTPUT ${BRIDGE_ERROR_TABLE_C}
  COMMAND error-table ${CMAKE_CURRENT_LIST_DIR}/error_codes.tsv ${BRIDGE_ERROR_TABLE_C}
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/error_codes.tsv error-table
  COMMENT "Compiling the vendor error table"
  VERBATIM)

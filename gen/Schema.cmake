# From .proto files to C: see README.md beside this file.
#
# Include it in every CMakeLists.txt that calls its functions. It also sets
#   BRIDGE_PROTO_IMPORTS  the import directories of this project, for IMPORTS below.

# bridge_need(find_path|find_library|find_program VARIABLE NAME PACKAGE [DIRS...])
# Sets the cache variable VARIABLE, or stops with the name of Debian's package. -DVARIABLE=... gives another place.
function(bridge_need how variable name package)
  if(how STREQUAL "find_path")
    find_path(${variable} ${name} PATHS ${ARGN})
  elseif(how STREQUAL "find_library")
    find_library(${variable} ${name} PATHS ${ARGN})
  else()
    find_program(${variable} ${name} PATHS ${ARGN})
  endif()
  if(NOT ${variable})
    message(FATAL_ERROR "${name} not found: install Debian's package ${package}, or set -D${variable}=...")
  endif()
  mark_as_advanced(${variable})
endfunction()

bridge_need(find_program BRIDGE_PROTOC protoc protobuf-compiler)
bridge_need(find_program BRIDGE_PROTOC_C protoc-c protobuf-c-compiler)
bridge_need(find_path BRIDGE_PROTOBUF_C_INCLUDE_DIR protobuf-c/protobuf-c.h libprotobuf-c-dev)
bridge_need(find_library BRIDGE_PROTOBUF_C_LIBRARY protobuf-c libprotobuf-c-dev)
bridge_need(find_path BRIDGE_PROTOBUF_DIR google/protobuf/descriptor.proto libprotobuf-dev)
bridge_need(find_path BRIDGE_GOOGLEAPIS_DIR google/api/annotations.proto golang-github-gogo-googleapis-dev
            /usr/share/gocode/src/github.com/gogo/googleapis)
bridge_need(find_path BRIDGE_GRPC_PROTO_DIR grpc/health/v1/health.proto grpc-proto /usr/share/grpc-proto)

set(BRIDGE_PROTO_IMPORTS ${PROJECT_SOURCE_DIR}/proto ${BRIDGE_GOOGLEAPIS_DIR} ${BRIDGE_GRPC_PROTO_DIR}
                         ${BRIDGE_PROTOBUF_DIR})

# Turns the generated SOURCES in DIR into the static library NAME.
function(bridge_generated_library name dir)
  add_library(${name} STATIC ${ARGN})
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC ${dir} ${BRIDGE_PROTOBUF_C_INCLUDE_DIR})
  target_link_libraries(${name} PUBLIC ${BRIDGE_PROTOBUF_C_LIBRARY})
endfunction()

# bridge_proto_library(NAME file.proto... IMPORTS dir... [LINK lib...] [DESCRIBE file.proto...])
#
# A static library of the C structs of the files, which are named relative to the import directories. Everything they
# import comes from the libraries after LINK, since a .proto may be generated only once in a program; naming one that
# such a library has already is an error. "#include <a/b.pb-c.h>" works for whoever links NAME. The files after DESCRIBE
# are of such libraries too: nothing imports them, and the descriptor set holds them all the same.
#
# Target properties: BRIDGE_PROTO_FILES, the files; BRIDGE_PROTO_PATHS, the paths of these and of those of LINK;
# BRIDGE_PROTO_SET, the path of the descriptor set, imports included, not lowered.
function(bridge_proto_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "IMPORTS;LINK;DESCRIBE")
  set(files ${arg_UNPARSED_ARGUMENTS})
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name})
  if(NOT files)
    message(FATAL_ERROR "${name}: no .proto files")
  endif()

  set(linked)
  foreach(lib IN LISTS arg_LINK)
    get_target_property(theirs ${lib} BRIDGE_PROTO_PATHS)
    if(theirs)
      list(APPEND linked ${theirs})
    endif()
  endforeach()

  set(options)
  foreach(import IN LISTS arg_IMPORTS)
    list(APPEND options -I${import})
  endforeach()

  set(paths)
  set(sources)
  set(headers)
  foreach(file IN LISTS files)
    unset(path)
    foreach(import IN LISTS arg_IMPORTS)
      if(NOT path AND EXISTS ${import}/${file})
        set(path ${import}/${file})
      endif()
    endforeach()
    if(NOT path)
      message(FATAL_ERROR "${name}: ${file} is in none of: ${arg_IMPORTS}")
    elseif(path IN_LIST linked)
      message(FATAL_ERROR "${name}: ${file} is generated already, by a library among: ${arg_LINK}")
    endif()
    list(APPEND paths ${path})
    string(REGEX REPLACE "\\.proto$" "" stem ${file})
    list(APPEND sources ${dir}/${stem}.pb-c.c)
    list(APPEND headers ${dir}/${stem}.pb-c.h)
  endforeach()

  # An import is one of the files or belongs to LINK, so these are all the files that protoc reads.
  file(MAKE_DIRECTORY ${dir})
  add_custom_command(
    OUTPUT ${dir}/original.pb
    COMMAND ${BRIDGE_PROTOC} ${options} --include_imports --descriptor_set_out=${dir}/original.pb ${files}
            ${arg_DESCRIBE}
    DEPENDS ${paths} ${linked}
    COMMENT "Compiling the schema of ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${sources} ${headers}
    BYPRODUCTS ${dir}/lowered.pb
    COMMAND lower ${dir}/original.pb ${dir}/lowered.pb
    COMMAND ${BRIDGE_PROTOC_C} --descriptor_set_in=${dir}/lowered.pb --c_out=${dir} ${files}
    DEPENDS ${dir}/original.pb lower
    COMMENT "Generating the structs of ${name}"
    VERBATIM)

  bridge_generated_library(${name} ${dir} ${sources} ${headers})
  target_link_libraries(${name} PUBLIC ${arg_LINK})
  set_target_properties(
    ${name}
    PROPERTIES BRIDGE_PROTO_FILES "${files}"
               BRIDGE_PROTO_PATHS "${paths};${linked}"
               BRIDGE_PROTO_SET ${dir}/original.pb)
endfunction()

# bridge_schema(NAME file.proto... IMPORTS dir... [LINK lib...] [DESCRIBE file.proto...])
#
# bridge_proto_library() and with it br_schema_linked (bridge/contract/schema.h): the descriptor set, and the services
# that the files declare, in the order given. A program links one such library.
function(bridge_schema name)
  bridge_proto_library(${ARGV})
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name})
  get_target_property(files ${name} BRIDGE_PROTO_FILES)
  add_custom_command(
    OUTPUT ${dir}/schema.c
    COMMAND schema-c ${dir}/original.pb ${dir}/schema.c ${files}
    DEPENDS ${dir}/original.pb schema-c
    COMMENT "Embedding the schema of ${name}"
    VERBATIM)
  target_sources(${name} PRIVATE ${dir}/schema.c)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../bridge)
endfunction()

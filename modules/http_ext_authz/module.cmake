# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# Protocol Buffers: the messages of check.proto, made by protoc, and the lite runtime. Statically: the shared one would bring a second
# libstdc++ into the process, and the linker would export ours for it (4000 symbols, 0.4 MB).
find_library(PROTOBUF_LITE libprotobuf-lite.a REQUIRED)
find_path(PROTOBUF_INCLUDE google/protobuf/message_lite.h REQUIRED)
find_program(PROTOC protoc REQUIRED)
set(check_proto ${CMAKE_CURRENT_SOURCE_DIR}/http_ext_authz/check.proto)
set(check_folder ${CMAKE_BINARY_DIR}/generated/http_ext_authz)
file(MAKE_DIRECTORY ${check_folder})
add_custom_command(
  OUTPUT ${check_folder}/check.pb.cc ${check_folder}/check.pb.h
  COMMAND ${PROTOC} --cpp_out=${check_folder} -I${CMAKE_CURRENT_SOURCE_DIR}/http_ext_authz ${check_proto}
  DEPENDS ${check_proto}
  VERBATIM)
# A library of its own: the code is not ours, so neither are its warnings.
add_library(fairlead_check_proto OBJECT ${check_folder}/check.pb.cc ${check_folder}/check.pb.h)
target_compile_options(fairlead_check_proto PRIVATE -w -Os -ffunction-sections)
target_include_directories(fairlead_check_proto SYSTEM PRIVATE ${PROTOBUF_INCLUDE})
target_sources(fairlead_modules PRIVATE $<TARGET_OBJECTS:fairlead_check_proto>)
target_include_directories(fairlead_modules SYSTEM PRIVATE ${check_folder} ${PROTOBUF_INCLUDE})
target_link_libraries(fairlead_modules PUBLIC ${PROTOBUF_LITE})
add_dependencies(fairlead_modules fairlead_check_proto)

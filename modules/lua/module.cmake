# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# LuaJIT (OpenResty's branch, or the stock one), and the parts of the API that are written in Lua: prelude/*.lua become texts of a header.
pkg_check_modules(LUAJIT REQUIRED IMPORTED_TARGET luajit)
target_link_libraries(fairlead_modules PUBLIC PkgConfig::LUAJIT)
# LuaJIT finds its way from an error to whoever catches it by the frames of the C functions between: those here, which call no code of other
# rooms that calls back. A precompiled header would bring its own setting with it.
if(NOT FAIRLEAD_SANITIZE AND NOT FAIRLEAD_FUZZ)
  file(GLOB raising CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/lua/*.cc)
  set(FAIRLEAD_UNWINDING -fasynchronous-unwind-tables $<$<BOOL:${FAIRLEAD_LTO}>:-fno-lto>)
  set_source_files_properties(${raising} PROPERTIES COMPILE_OPTIONS "${FAIRLEAD_UNWINDING}" SKIP_PRECOMPILE_HEADERS ON)
endif()
target_link_options(fairlead_modules PUBLIC LINKER:--dynamic-list=${CMAKE_CURRENT_SOURCE_DIR}/lua/exported_symbols.list)

file(GLOB preludes CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/lua/prelude/*.lua)
list(SORT preludes)
set(prelude_texts "")
set(prelude_rows "")
foreach(path ${preludes})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  get_filename_component(prelude ${path} NAME_WE)
  file(READ ${path} text)
  string(APPEND prelude_texts "constexpr char ${prelude}_text[] = R\"==lua(${text})==lua\";\n")
  string(APPEND prelude_rows "\n    {\"${prelude}\", {${prelude}_text, sizeof ${prelude}_text - 1}},")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/lua_prelude.h @ONLY CONTENT [==[
// Written by modules/lua/module.cmake from modules/lua/prelude/*.lua.
#pragma once

#include <string_view>

namespace fairlead::lua::prelude {

@prelude_texts@
struct Part {
  std::string_view name;
  std::string_view text;
};
inline constexpr Part parts[] = {@prelude_rows@
};

}  // namespace fairlead::lua::prelude
]==])

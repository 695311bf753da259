# Tests: each folder below tests/ that holds *_test.cpp is one GoogleTest program, named after its
# path: tests/proto/http1 -> proto_http1_test. Every test of it carries the label of its folder
# ("proto/http1") and of the first-level folder ("proto"). A folder with a CMakeLists.txt of its own
# is read instead. tests/support is shared by all.
find_package(GTest REQUIRED)

file(GLOB_RECURSE sluice_support_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/*.cpp")
if(sluice_support_sources)
  add_library(sluice_test_support STATIC ${sluice_support_sources})
  set(sluice_support_scope PUBLIC)
else()
  add_library(sluice_test_support INTERFACE)
  set(sluice_support_scope INTERFACE)
endif()
target_include_directories(sluice_test_support ${sluice_support_scope}
  "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
target_link_libraries(sluice_test_support ${sluice_support_scope} sluice_warnings GTest::gtest)
# Where tests find the programs they start and the files they read.
target_compile_definitions(sluice_test_support ${sluice_support_scope}
  SLUICE_TEST_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
  SLUICE_TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

# A sanitized program starts and runs several times slower.
set(sluice_test_timeout 60)
if(SLUICE_SANITIZE)
  set(sluice_test_timeout 180)
endif()

set(sluice_test_environment
  "ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
  "SLUICE_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
  "SLUICE_SOURCE_DIR=${PROJECT_SOURCE_DIR}")

include(GoogleTest)
file(GLOB_RECURSE sluice_test_files CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/tests"
  "${PROJECT_SOURCE_DIR}/tests/*_test.cpp")
set(sluice_test_dirs "")
foreach(file IN LISTS sluice_test_files)
  cmake_path(GET file PARENT_PATH dir)
  list(APPEND sluice_test_dirs "${dir}")
endforeach()
file(GLOB sluice_own_lists CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/tests"
  "${PROJECT_SOURCE_DIR}/tests/*/CMakeLists.txt")
foreach(file IN LISTS sluice_own_lists)
  cmake_path(GET file PARENT_PATH dir)
  list(APPEND sluice_test_dirs "${dir}")
endforeach()
list(REMOVE_DUPLICATES sluice_test_dirs)

foreach(dir IN LISTS sluice_test_dirs)
  string(REGEX REPLACE "/.*" "" top "${dir}")
  if(SLUICE_TEST_FOLDERS AND NOT top IN_LIST SLUICE_TEST_FOLDERS)
    continue()
  endif()
  if(EXISTS "${PROJECT_SOURCE_DIR}/tests/${dir}/CMakeLists.txt")
    add_subdirectory("${PROJECT_SOURCE_DIR}/tests/${dir}" "${PROJECT_BINARY_DIR}/tests/${dir}")
    continue()
  endif()
  string(REPLACE "/" "_" name "${dir}")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/${dir}/*.cpp")
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE sluice_test_support)
  sluice_link_layer(${name}_test ${top})
  if(NOT EXISTS "${PROJECT_SOURCE_DIR}/tests/${dir}/main.cpp")
    target_link_libraries(${name}_test PRIVATE GTest::gtest_main)
  endif()
  set(labels "${dir}")
  if(NOT top STREQUAL dir)
    list(APPEND labels "${top}")
  endif()
  # What a test starts must be built before it.
  if(TARGET sluice_program AND NOT top MATCHES "^(base|crypto|proto|tls|io|core|front)$")
    add_dependencies(${name}_test sluice_program)
  endif()
  gtest_discover_tests(${name}_test
    TEST_PREFIX "${dir}/"
    TEST_LIST ${name}_tests
    NO_PRETTY_VALUES
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${sluice_test_timeout})
  # Properties that are lists do not pass through gtest_discover_tests whole.
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/${name}_properties.cmake" @ONLY CONTENT
"foreach(test IN LISTS @name@_tests)
  set_tests_properties(\"\${test}\" PROPERTIES LABELS \"@labels@\" ENVIRONMENT \"@sluice_test_environment@\")
endforeach()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES
    "${PROJECT_BINARY_DIR}/${name}_properties.cmake")
endforeach()

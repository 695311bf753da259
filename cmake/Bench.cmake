# Benchmarks: each bench/NAME.cpp and bench/floor/NAME.cpp is one program. The load generators and
# the floors (the least that a server on epoll or io_uring can do) are yardsticks: they use nothing of
# ours and are not held to our warnings.
find_package(OpenSSL 3.0 REQUIRED COMPONENTS SSL)
file(GLOB sluice_bench_files CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/bench/*.cpp" "${PROJECT_SOURCE_DIR}/bench/floor/*.cpp")
foreach(source IN LISTS sluice_bench_files)
  cmake_path(GET source STEM name)
  add_executable(${name} "${source}")
  if(name MATCHES "^(httpload|wsload|floor_.*)$")
    target_compile_options(${name} PRIVATE -O3 -march=native)
    set_target_properties(${name} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    if(name STREQUAL "floor_uring")
      target_link_libraries(${name} PRIVATE PkgConfig::liburing)
    elseif(name MATCHES "^(httpload|floor_tls)$")
      target_compile_definitions(${name} PRIVATE HTTPLOAD_TLS)
      target_link_libraries(${name} PRIVATE OpenSSL::SSL OpenSSL::Crypto)
    endif()
  else()
    target_link_libraries(${name} PRIVATE sluice_internal)
  endif()
endforeach()

# Installs headers, library, program, man page, the CMake package `sluice` and sluice.pc.
include(CMakePackageConfigHelpers)

install(TARGETS sluice EXPORT sluice-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET sluice_program)
  install(TARGETS sluice_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The demo site; the program looks for it in ../share/sluice/site.
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples/site" DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/docs/man/sluice.1")
  install(FILES "${PROJECT_SOURCE_DIR}/docs/man/sluice.1" DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/docs/man/sluice.toml.5")
  install(FILES "${PROJECT_SOURCE_DIR}/docs/man/sluice.toml.5" DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/examples/sluice.toml")
  install(FILES "${PROJECT_SOURCE_DIR}/examples/sluice.toml" DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/examples/site")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples/site" DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
endif()

set(sluice_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sluice)
install(EXPORT sluice-targets NAMESPACE sluice:: DESTINATION ${sluice_cmake_dir})
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sluice-config.cmake.in"
  "${PROJECT_BINARY_DIR}/sluice-config.cmake" INSTALL_DESTINATION ${sluice_cmake_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/sluice-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/sluice-config.cmake"
  "${PROJECT_BINARY_DIR}/sluice-config-version.cmake" DESTINATION ${sluice_cmake_dir})

# The prefix is found from where the file lies, so that `cmake --install --prefix` may choose it.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE sluice_pc_to_prefix)

# With a shared library the user needs none of our dependencies.
set(sluice_pc_cflags "")
set(sluice_pc_requires "")
if(NOT BUILD_SHARED_LIBS)
  set(sluice_pc_cflags " -DSLUICE_STATIC")
  set(sluice_pc_requires "Requires: libssl, libcrypto, zlib, libnghttp2")
  string(APPEND sluice_pc_requires ", libbrotlienc, libbrotlidec, libzstd")
  if(TARGET PkgConfig::liburing)
    string(APPEND sluice_pc_requires ", liburing, libxcrypt, libsodium, sqlite3, libcares")
  endif()
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/sluice.pc.in" "${PROJECT_BINARY_DIR}/sluice.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/sluice.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

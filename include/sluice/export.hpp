// sluice/export.hpp - marks what the shared library shows to its users.
//
// Everything is hidden unless it carries SLUICE_API: put it on each public class and function that
// has a body in a .cpp file. Layer: public. Thread: any.
#pragma once

#if defined(SLUICE_STATIC)
#define SLUICE_API
#elif defined(_WIN32)
#if defined(SLUICE_BUILDING)
#define SLUICE_API __declspec(dllexport)
#else
#define SLUICE_API __declspec(dllimport)
#endif
#else
#define SLUICE_API __attribute__((visibility("default")))
#endif

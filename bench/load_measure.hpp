// bench/load_measure.hpp - what the load generators measure with: time, CPU and memory of
// processes, latencies.
#pragma once

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

inline uint64_t now_ns() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return uint64_t(ts.tv_sec) * 1000000000ull + uint64_t(ts.tv_nsec);
}

// CPU seconds (user + system, all live threads) of one process: nanosecond-precise schedstat, else
// stat's ticks.
inline double proc_cpu(int pid) {
  char path[64], buf[1024];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  if (DIR* d = opendir(path)) {
    double total = 0;
    bool any = false;
    while (dirent* e = readdir(d)) {
      if (e->d_name[0] == '.') continue;
      unsigned long long ns = 0;
      char p[128];
      snprintf(p, sizeof p, "/proc/%d/task/%.16s/schedstat", pid, e->d_name);
      if (FILE* f = fopen(p, "r")) {
        if (fscanf(f, "%llu", &ns) == 1) {
          total += double(ns) / 1e9;
          any = true;
        }
        fclose(f);
      }
    }
    closedir(d);
    if (any && total > 0) return total;
  }
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE* f = fopen(path, "r");
  if (!f) return 0;
  size_t n = fread(buf, 1, sizeof buf - 1, f);
  fclose(f);
  buf[n] = 0;
  const char* p = strrchr(buf, ')');
  if (!p) return 0;
  unsigned long ut = 0, st = 0;
  sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st);
  return double(ut + st) / double(sysconf(_SC_CLK_TCK));
}

inline long proc_rss_kib(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE* f = fopen(path, "r");
  if (!f) return 0;
  char line[256];
  long kib = 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  fclose(f);
  return kib;
}

inline double self_cpu() {
  rusage r;
  getrusage(RUSAGE_SELF, &r);
  return double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

// Log-linear latency histogram: 64 sub-buckets per power of two (about 1.5 % wide).
struct Histogram {
  std::vector<uint64_t> b = std::vector<uint64_t>(64 * 64);
  uint64_t count = 0, max = 0;
  static size_t index(uint64_t v) {
    if (v < 64) return v;
    int shift = 57 - __builtin_clzll(v);
    return size_t(shift + 1) * 64 + ((v >> shift) - 64) + 0;
  }
  static uint64_t value(size_t i) {
    if (i < 64) return i;
    size_t shift = i / 64 - 1;
    return (64 + i % 64) << shift;
  }
  void add(uint64_t v) {
    b[index(v)]++;
    count++;
    max = std::max(max, v);
  }
  uint64_t quantile(double q) const {
    uint64_t target = uint64_t(q * double(count)), seen = 0;
    for (size_t i = 0; i < b.size(); i++) {
      seen += b[i];
      if (seen > target) return value(i);
    }
    return max;
  }
};

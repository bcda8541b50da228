// The wall clock of whatever program this is loaded into first: off by as many seconds as a file says, from the
// moment that it says so. Durations are measured by other clocks, which stay. It allocates nothing, for the
// edge's runtime asks for the time before it can.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset_seconds(void) {
  static const volatile long *place = NULL;
  if (place == NULL) {
    const char *path = getenv("SET_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    void *mapped = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return 0;
    place = mapped;
  }
  return *place;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  int result = syscall(SYS_clock_gettime, clock, at);
  int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && is_wall) at->tv_sec += offset_seconds();
  return result;
}

int gettimeofday(struct timeval *at, void *zone) {
  int result = syscall(SYS_gettimeofday, at, zone);
  if (result == 0 && at != NULL) at->tv_sec += offset_seconds();
  return result;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != NULL) *at = now.tv_sec;
  return now.tv_sec;
}

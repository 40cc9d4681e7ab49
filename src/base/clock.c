// Seeds and clocks.
#include <time.h>

#include "fim/base.h"

// One output of the splitmix64 generator (Steele, Lea, Flood 2014): every stream number gives a seed of its
// own.
uint64_t fim_seed_stream(uint64_t seed, uint64_t stream) {
    uint64_t z = seed + (stream + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double fim_clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

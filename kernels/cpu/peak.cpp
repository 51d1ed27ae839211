// What the processor can do at most: multiply-adds a second and bytes read a second, the quantities of the floor
// that `symgru bench cpu` divides by. Best of several tries, since a disturbance can only slow a try down.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "vector.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace symgru;
using Clock = std::chrono::steady_clock;

// Independent sums: two units of latency 4 or 5 need ten, and a few registers stay free.
constexpr int sums = vector_registers == 32 ? 24 : 12;
constexpr int tries = 20;

volatile float sink;           // what is written here cannot be optimised away
volatile float small = 1e-6f;  // what is read here is not known to the compiler

// Units of work a second: `work` of them are done by task(thread) in each of the threads, all at once.
template <class Task> double best_rate(int threads, double work, Task task) {
  double best = 0;
  for (int t = 0; t < tries; t++) {
    std::atomic<int> waiting{threads};
    std::vector<Clock::time_point> start(threads), end(threads);
    auto run = [&](int thread) {
      waiting--;
      while (waiting.load() > 0) std::this_thread::yield();
      start[thread] = Clock::now();
      task(thread);
      end[thread] = Clock::now();
    };
    std::vector<std::thread> team;
    for (int i = 1; i < threads; i++) team.emplace_back(run, i);
    run(0);
    for (auto& member : team) member.join();
    auto first = *std::min_element(start.begin(), start.end());
    auto last = *std::max_element(end.begin(), end.end());
    best = std::max(best, threads * work / std::chrono::duration<double>(last - first).count());
  }
  return best;
}

// n steps of independent sums. They start from values that the compiler does not know to be equal, or it would keep one.
template <class Sum, class Step> void repeat(long n, Step step) {
  Sum sum[sums];
  for (int s = 0; s < sums; s++) sum[s] = Sum{} + small;
  for (long i = 0; i < n; i++) {
#pragma GCC unroll 32
    for (int s = 0; s < sums; s++) sum[s] = step(sum[s]);
  }
  for (int s = 0; s < sums; s++) sink = sum[s][0];
}

void read(const float* data, long n) {
  constexpr int streams = 8;
  Vec<float> sum[streams] = {};
  for (long i = 0; i < n; i += streams * lanes<float>) {
#pragma GCC unroll 8
    for (int s = 0; s < streams; s++) sum[s] += load(data + i + s * lanes<float>);
  }
  for (int s = 0; s < streams; s++) sink = sum[s][0];
}

}  // namespace

// Floating-point operations a second in float32, a multiply-add counted as two.
EXPORT double symgru_peak_float32(int threads) {
  constexpr long n = 1 << 19;
  return best_rate(threads, 2.0 * lanes<float> * sums * n, [](int) {
    Vec<float> a = broadcast<float>(small), b = broadcast<float>(small);
    repeat<Vec<float>>(n, [=](Vec<float> sum) { return fma<float>(sum, a, b); });
  });
}

// The same for dot products of pairs of bfloat16 with float32 sums; 0 where there is no such instruction.
EXPORT double symgru_peak_bfloat16(int threads) {
#if defined(__AVX512BF16__)
  constexpr long n = 1 << 18;
  return best_rate(threads, 4.0 * 16 * sums * n, [](int) {
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(small), _mm512_set1_ps(small));
    repeat<__m512>(n, [=](__m512 sum) { return _mm512_dpbf16_ps(sum, a, a); });
  });
#else
  return 0 * threads;
#endif
}

// Bytes read a second by threads that each read `bytes` of their own again and again; 0 without the memory.
EXPORT double symgru_read_bandwidth(int threads, long bytes) {
  constexpr long block = 1024, at_least = 1L << 27;
  bytes = std::max(block, bytes / block * block);
  long passes = std::max(1L, at_least / bytes), n = bytes / long(sizeof(float));
  std::vector<float*> data(threads);
  for (auto& p : data) p = static_cast<float*>(std::aligned_alloc(64, bytes));
  double rate = 0;
  if (std::count(data.begin(), data.end(), nullptr) == 0) {
    for (auto* p : data) std::fill(p, p + n, 1.0f);
    rate = best_rate(threads, double(bytes) * passes, [&](int thread) {
      for (long i = 0; i < passes; i++) read(data[thread], n);
    });
  }
  for (auto* p : data) std::free(p);
  return rate;
}

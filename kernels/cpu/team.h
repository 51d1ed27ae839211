// Threads: a team that runs one function, and a barrier for it.
//
// The team is OpenMP's, so it is the one of PyTorch, whose library has been loaded before: there is no second pool.
// Without OpenMP there is one thread; with SYMGRU_PTHREADS (for ThreadSanitizer, which cannot see into OpenMP) the
// threads are made for every call.
#pragma once

#include <atomic>

#if defined(SYMGRU_PTHREADS)
#include <thread>
#include <vector>
#elif defined(_OPENMP)
#include <omp.h>
#endif
#include <sched.h>

namespace symgru {

class Barrier {
 public:
  // All members of a team of `members` wait for each other. Spins, for a wait is short: but not for ever, since
  // the thread waited for may need this processor.
  void wait(int members) {
    if (members == 1) return;
    const int round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; spins++) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      if (spins > 4000) sched_yield(), spins = 0;
    }
  }

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> round_{0};
};

// Run f(member, members) on a team of at most `threads`.
template <class F> void run_team(int threads, const F& f) {
  if (threads <= 1) return f(0, 1);
#if defined(SYMGRU_PTHREADS)
  std::vector<std::thread> others;
  for (int id = 1; id < threads; id++) others.emplace_back([&f, id, threads] { f(id, threads); });
  f(0, threads);
  for (auto& other : others) other.join();
#elif defined(_OPENMP)
#pragma omp parallel num_threads(threads)
  f(omp_get_thread_num(), omp_get_num_threads());
#else
  f(0, 1);
#endif
}

// What member `id` of `members` takes of n things in order: [first, last).
struct Share {
  int64_t first, last;
};
inline Share share(int64_t n, int64_t id, int64_t members) { return {n * id / members, n * (id + 1) / members}; }

// The same in whole stripes, but for the last one.
inline Share in_stripes(int64_t n, int64_t stripe, int64_t id, int64_t members) {
  const Share s = share((n + stripe - 1) / stripe, id, members);
  return {s.first * stripe, s.last * stripe < n ? s.last * stripe : n};
}

}  // namespace symgru

// Memory of a call. Calls share nothing that they write; but large memory is kept when a call ends, for another one to
// take, since the system hands out fresh memory a page at a time, and slowly.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "vector.h"

namespace symgru {

constexpr size_t least_kept = size_t(1) << 20, most_kept = size_t(64) << 20;
constexpr int places = 4;

// Before the memory of a call, which begins at a line of the cache.
struct alignas(64) Header {
  size_t bytes;
};

static std::atomic<Header*> kept[places];

// Kept memory that is large enough and at most twice as large, or new. Whoever takes memory from a place has it alone.
static Header* take_memory(size_t bytes) {
  for (auto& place : kept) {
    Header* found = bytes < least_kept ? nullptr : place.exchange(nullptr);
    if (!found) continue;
    if (found->bytes >= bytes && found->bytes <= 2 * bytes) return found;
    Header* empty = nullptr;
    if (!place.compare_exchange_strong(empty, found)) std::free(found);
  }
  void* p = nullptr;
  if (posix_memalign(&p, 64, sizeof(Header) + bytes) != 0) throw std::bad_alloc();
  return new (p) Header{bytes};
}

static std::atomic<unsigned> next_place;

static void give_memory_back(Header* memory) {
  if (memory->bytes >= least_kept && memory->bytes <= most_kept) {
    for (auto& place : kept) {
      Header* empty = nullptr;
      if (place.compare_exchange_strong(empty, memory)) return;
    }
    memory = kept[next_place++ % places].exchange(memory);  // all are taken: in place of an older one
  }
  std::free(memory);
}

static void free_kept_memory() {
  for (auto& place : kept) std::free(place.exchange(nullptr));
}

template <class T> class Memory {
 public:
  explicit Memory(int64_t elements) : header_(take_memory(size_t(elements > 0 ? elements : 1) * sizeof(T))) {}
  ~Memory() { give_memory_back(header_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T* get() const { return reinterpret_cast<T*>(header_ + 1); }

 private:
  Header* header_;
};

}  // namespace symgru

// Runs every plan of a library over shapes on which rows, registers, tiles, stripes and chunks end in different
// places, in buffers of exactly the size that is theirs: for the sanitizers, which see what is read or written beyond.
// Results are compared, bit by bit, with those of one thread. With the argument "short", buffers are one number short.
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>

#include "cpu/library.cpp"

namespace {

bool buffers_are_short = false;

struct Shape {
  std::vector<int64_t> batch_sizes;
  int64_t I, H;
};

const Shape shapes[] = {
    {{3, 3, 3}, 4, 5},           {{1, 1, 1, 1}, 1, 1},      {{13, 12, 9, 1}, 17, 33},
    {{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, 3, 16}, {{129, 40}, 31, 15},
    {{260, 259}, 7, 9},          {{8, 8}, 33, 64},          {{2, 1}, 65, 49},
    {{0, 0}, 2, 3},              {{50, 49, 49, 48}, 5, 2},  {{1}, 48, 17},
};

// How many numbers each argument has, as the tables of the plan see it; what is true or false counts as numbers.
template <class T> std::vector<int64_t> lengths(const Plan<T>& plan, const Call& call, int arguments) {
  std::vector<int64_t> found(size_t(arguments), 0);
  const int64_t* n = call.sizes;
  const auto need = [&](int argument, int64_t length) {
    if (argument >= 0 && found[size_t(argument)] < length) found[size_t(argument)] = length;
  };
  const int64_t rows = call.offsets[call.steps];
  for (const Sequence& s : plan.sequences) need(s.source.argument, (s.source.block + 1) * rows * n[s.axis]);
  for (int16_t mask : plan.masks) need(mask, rows);
  for (const Carried& c : plan.carried) need(c.initial, call.batch * n[c.axis]), need(c.last, call.batch * n[c.axis]);
  for (const Copy& c : plan.copies) need(c.initial, call.batch * n[plan.sequences[c.sequence].axis]);
  for (const Parameter& p : plan.parameters)
    for (const Source& s : p.sources) need(s.argument, (s.block + 1) * n[p.axis]);
  for (const Matrix& m : plan.matrices) need(m.source.argument, (m.source.block + 1) * n[m.rows] * n[m.columns]);
  for (const Outer& o : plan.outers) need(o.target.argument, (o.target.block + 1) * n[o.rows] * n[o.columns]);
  for (const Sum& s : plan.sums)
    for (const Source& target : s.targets) need(target.argument, (target.block + 1) * n[s.axis]);
  return found;
}

// A buffer of exactly so many numbers.
template <class T> struct Buffer {
  int64_t length;
  T* p;
  Buffer(int64_t length_, std::mt19937& random)
      : length(length_ - (buffers_are_short && length_ > 0)), p(static_cast<T*>(std::malloc(size_t(length) * sizeof(T)))) {
    std::uniform_real_distribution<T> uniform(T(-0.5), T(0.5));
    for (int64_t i = 0; i < length; i++) p[i] = uniform(random);
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() { std::free(p); }
};

template <class T>
std::vector<T> results(int number, const Shape& shape, int64_t reverse, bool resets, int64_t threads, bool pack_before) {
  const Plan<T>& plan = *all_plans<T>[number];
  std::vector<int64_t> offsets{0};
  for (int64_t rows : shape.batch_sizes) offsets.push_back(offsets.back() + rows);
  const char* first_axis = std::strchr(plan.signature, '[') + 2;  // {"axes": ["H", ...
  const int64_t sizes[] = {*first_axis == 'H' ? shape.H : shape.I, *first_axis == 'H' ? shape.I : shape.H};
  Call call{{int64_t(shape.batch_sizes.size()), offsets.data(), shape.batch_sizes[0], sizes, reverse, threads, nullptr}, nullptr, nullptr};

  std::mt19937 random(7);
  std::vector<std::unique_ptr<Buffer<T>>> buffers;
  std::vector<void*> arguments;
  constexpr int most_arguments = 64;
  for (int64_t length : lengths(plan, call, most_arguments)) {
    buffers.push_back(std::make_unique<Buffer<T>>(length, random));
    arguments.push_back(buffers.back()->p);
  }
  call.arguments = arguments.data();
  const std::unique_ptr<uint8_t[]> begins(new uint8_t[size_t(offsets.back())]);
  for (int64_t i = 0; i < offsets.back(); i++) begins[size_t(i)] = random() % 3 == 0;
  if (resets) call.resets = begins.get();
  constexpr int type = sizeof(T) == 4 ? 0 : 1;
  std::unique_ptr<Buffer<T>> panels;
  if (pack_before) {
    panels = std::make_unique<Buffer<T>>(symgru_packed_size(number, type, &call), random);
    symgru_pack(number, type, &call, call.arguments, panels->p);
    call.panels = panels->p;
  }
  if (symgru_run(number, type, &call, call.arguments, call.panels, 0) != 0) std::printf("no memory\n"), std::exit(1);
  std::vector<T> all;
  for (const auto& buffer : buffers) all.insert(all.end(), buffer->p, buffer->p + buffer->length);
  return all;
}

template <class T> int run_all() {
  int failures = 0;
  for (int number = 0; number < plans; number++)
    for (const Shape& shape : shapes)
      for (int64_t reverse : {0, 1}) {
        const bool resets = (&shape - shapes + reverse) % 2 == 0;
        const auto alone = results<T>(number, shape, reverse, resets, 1, false);
        for (int64_t threads = 1; threads <= 4; threads++) {
          const auto found = results<T>(number, shape, reverse, resets, threads, threads % 2 == 1);
          if (std::memcmp(found.data(), alone.data(), alone.size() * sizeof(T)) == 0) continue;
          std::printf("%s: other bits with %d threads, T = %d, B = %d, I = %d, H = %d\n", symgru_name(number), int(threads),
                      int(shape.batch_sizes.size()), int(shape.batch_sizes[0]), int(shape.I), int(shape.H));
          failures++;
        }
      }
  return failures;
}

}  // namespace

int main(int count, char** arguments) {
  buffers_are_short = count > 1 && std::strcmp(arguments[1], "short") == 0;
  const int failures = run_all<SYMGRU_TYPE>();
  std::printf("%d plans, %d failures\n", plans, failures);
  return failures != 0;
}

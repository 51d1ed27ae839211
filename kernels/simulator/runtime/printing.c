// Printing from kernels: CUDA's vprintf, whose arguments lie one after another, each at a multiple of its size.
// Source: CUDA C++ Programming Guide, "Formatted Output"; NVVM IR specification, "vprintf".
#include <stdio.h>
#include <string.h>

#include "sim.h"

enum { LONGEST = 64 };  // of a conversion, such as %-+20.10llx

static uint64_t next(const char** arguments, size_t bytes) {
  uintptr_t at = ((uintptr_t)*arguments + bytes - 1) / bytes * bytes;
  uint64_t value = 0;
  memcpy(&value, (const void*)at, bytes);
  *arguments = (const char*)(at + bytes);
  return value;
}

// Print one argument by a conversion that ends in `letter` and has `wide` letters l.
static void convert(const char* conversion, char letter, int wide, const char** arguments) {
  if (strchr("eEfFgGaA", letter)) {
    uint64_t bits = next(arguments, 8);
    double value;
    memcpy(&value, &bits, 8);
    printf(conversion, value);
  } else if (letter == 's') {
    printf(conversion, (const char*)(uintptr_t)next(arguments, 8));
  } else if (letter == 'p' || wide) {
    printf(conversion, (unsigned long long)next(arguments, 8));
  } else {
    printf(conversion, (unsigned)next(arguments, 4));
  }
}

SIM_API int32_t sim_print(const char* format, const void* arguments) {
  const char* left = arguments;
  int converted = 0;
  while (*format) {
    if (format[0] != '%' || format[1] == '%') {
      putchar(*format);
      format += *format == '%' ? 2 : 1;
      continue;
    }
    const size_t flags = 1 + strspn(format + 1, "-+ #0123456789.lhzjt");
    char conversion[LONGEST + 1] = {0};
    if (flags >= LONGEST || !format[flags]) sim_trap("a format that cannot be printed", SIM_NOBODY);
    memcpy(conversion, format, flags + 1);
    if (!strchr("diouxXcpsaAeEfFgG", format[flags])) sim_trap("a format that cannot be printed", SIM_NOBODY);
    convert(conversion, format[flags], strpbrk(conversion, "lzjt") != NULL, &left);
    format += flags + 1;
    converted++;
  }
  fflush(stdout);
  return converted;
}

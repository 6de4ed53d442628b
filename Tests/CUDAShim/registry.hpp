// The kernels compiled as C++, found by name.
#pragma once

#include <cstddef>
#include <string_view>

namespace shim {

constexpr int mostArguments = 32;

struct Kernel {
    const char *name;
    void (*run)(const void *const *arguments);
    // Of each argument, none more than 8 bytes.
    const size_t *sizes;
    int arguments;
};

const Kernel *findKernel(std::string_view name);
// Null behind the last one.
const Kernel *kernelAt(size_t number);
size_t kernelNumber(const Kernel *kernel);

}  // namespace shim

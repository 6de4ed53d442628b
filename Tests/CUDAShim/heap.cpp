#include "heap.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace shim {

namespace {

constexpr size_t guardBytes = 256;
constexpr unsigned char guardValue = 0xa5, newValue = 0xff, oldValue = 0xdb;
constexpr size_t mostReturnedBytes = 8 << 20;

bool isAll(unsigned char value, const unsigned char *bytes, size_t count) {
    return std::all_of(bytes, bytes + count, [=](unsigned char byte) { return byte == value; });
}

size_t whole(size_t bytes) { return (bytes + guardBytes - 1) / guardBytes * guardBytes; }

}  // namespace

Heap::~Heap() {
    for (const auto &[address, bytes] : sizes) {
        checkGuards(address, bytes);
        std::free((unsigned char *)address - guardBytes);
    }
    for (const Old &old : returned) forget(old);
}

uint64_t Heap::allocate(size_t bytes) {
    if (bytes > limit || used > limit - bytes) return 0;
    // At least 256 bytes behind, and those up to the next multiple.
    const size_t all = whole(bytes) + 2 * guardBytes;
    const auto start = (unsigned char *)aligned_alloc(guardBytes, all);
    if (!start) return 0;
    memset(start, guardValue, guardBytes);
    memset(start + guardBytes, newValue, bytes);
    memset(start + guardBytes + bytes, guardValue, all - guardBytes - bytes);
    sizes[(uint64_t)start + guardBytes] = bytes;
    used += bytes;
    return (uint64_t)start + guardBytes;
}

bool Heap::free(uint64_t address) {
    const auto found = sizes.find(address);
    if (found == sizes.end()) return false;
    const size_t bytes = found->second;
    sizes.erase(found);
    used -= bytes;
    checkGuards(address, bytes);
    memset((void *)address, oldValue, bytes);
    returned.push_back({(unsigned char *)address - guardBytes, bytes});
    returnedBytes += bytes;
    while (returnedBytes > mostReturnedBytes) {
        forget(returned.front());
        returnedBytes -= returned.front().bytes;
        returned.pop_front();
    }
    return true;
}

bool Heap::contains(uint64_t address, size_t bytes) const {
    auto next = sizes.upper_bound(address);
    if (next == sizes.begin()) return false;
    --next;
    const uint64_t offset = address - next->first;
    return offset <= next->second && bytes <= next->second - offset;
}

void Heap::checkGuards(uint64_t address, size_t bytes) {
    const auto start = (const unsigned char *)address;
    const bool isWhole = isAll(guardValue, start - guardBytes, guardBytes)
        && isAll(guardValue, start + bytes, whole(bytes) + guardBytes - bytes);
    if (!isWhole) report("something wrote outside of " + std::to_string(bytes) + " bytes of the device");
}

void Heap::forget(const Old &old) {
    if (!isAll(oldValue, old.start + guardBytes, old.bytes))
        report("something wrote to " + std::to_string(old.bytes) + " bytes of the device after they were given back");
    std::free(old.start);
}

}  // namespace shim

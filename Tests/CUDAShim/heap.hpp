// The memory of the shim's device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace shim {

// Says what no call of the driver can.
void report(const std::string &sentence);

// Memory with guards before and behind each allocation. New memory is NaNs. What was given back stays a while, so that
// late writes to it show.
class Heap {
  public:
    ~Heap();
    // 0 where the limit does not allow it.
    uint64_t allocate(size_t bytes);
    // Whether there was such an allocation.
    bool free(uint64_t address);
    // Whether all the bytes lie in one allocation.
    bool contains(uint64_t address, size_t bytes) const;

    size_t limit = (size_t)16 << 30;
    size_t used = 0;

  private:
    struct Old {
        unsigned char *start;
        size_t bytes;
    };
    void checkGuards(uint64_t address, size_t bytes);
    void forget(const Old &old);

    std::map<uint64_t, size_t> sizes;
    std::deque<Old> returned;
    size_t returnedBytes = 0;
};

}  // namespace shim

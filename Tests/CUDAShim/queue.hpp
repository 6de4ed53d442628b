// Work that waits to be done on the shim's device.
#pragma once

#include "heap.hpp"
#include "registry.hpp"
#include "shim.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace shim {

struct Stream;

// One record of an event.
struct Mark {
    Stream *stream;
    bool isPassed = false;
    std::chrono::steady_clock::time_point time;
};

struct Launch {
    const Kernel *kernel;
    dim3 grid, block;
    size_t sharedBytes;
    // As they were at the call.
    uint64_t arguments[mostArguments];
};

// Either end may be the host's memory, which is looked at only when the copy is done.
struct Copy {
    uint64_t to, from;
    size_t bytes;
    bool isToDevice, isFromDevice;
};

struct Fill {
    uint64_t address;
    unsigned char value;
    size_t bytes;
};

// What a library queues.
struct Work {
    // What is wrong, or nothing.
    std::function<std::string()> run;
};

struct Record {
    std::shared_ptr<Mark> mark;
};

struct Await {
    std::shared_ptr<Mark> mark;
};

typedef std::variant<Launch, Copy, Fill, Work, Record, Await> Operation;

struct Graph {
    std::vector<Operation> operations;
};

struct Event {
    bool isTimed;
    // Null before the first record.
    std::shared_ptr<Mark> latest;
};

enum class Capture { none, active, invalidated };

struct Stream {
    std::deque<Operation> queue;
    Capture capture = Capture::none;
    Graph captured;
};

}  // namespace shim

// A device as one user sees it, with all that is queued. Each call of the driver holds the lock.
struct quire_shim_device {
    std::mutex lock;
    bool isReversed = false;
    shim::Heap heap;
    std::list<shim::Stream> streams;
    // Of the host, pinned: start and bytes.
    std::map<uint64_t, size_t> pinned;
    std::map<const shim::Kernel *, size_t> sharedLimits;
    std::vector<size_t> launches;
    size_t waits = 0;
    size_t graphs = 0;
    size_t products = 0;
    // What broke the device; like a GPU it then does nothing more.
    std::string failure;

    ~quire_shim_device();

    // Notes an operation in the stream's queue or in its capture.
    void add(shim::Stream &stream, shim::Operation operation);
    // Does one operation of the stream, or of one that it waits for; false where there is none.
    bool step(shim::Stream &stream);
    // Does all that a wait for the stream has to, and backwards what it may.
    void finish(shim::Stream &stream);
    void finishAll();
    bool isCapturing() const;
    bool isUsed(uint64_t host, size_t bytes) const;
    void remove(shim::Stream *stream);

  private:
    bool isBlocked(const shim::Stream &stream) const;
    void perform(const shim::Operation &operation);
    void perform(const shim::Launch &launch);
    void perform(const shim::Copy &copy);
    void perform(const shim::Fill &fill);
};

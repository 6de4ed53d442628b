#include "queue.hpp"

#include <cstdlib>
#include <cstring>

using namespace shim;

quire_shim_device::~quire_shim_device() {
    for (const auto &[address, bytes] : pinned) std::free((void *)address);
}

void quire_shim_device::add(Stream &stream, Operation operation) {
    if (stream.capture == Capture::none) stream.queue.push_back(std::move(operation));
    else stream.captured.operations.push_back(std::move(operation));
}

bool quire_shim_device::isBlocked(const Stream &stream) const {
    if (stream.queue.empty()) return true;
    const auto await = std::get_if<Await>(&stream.queue.front());
    return await && !await->mark->isPassed;
}

bool quire_shim_device::step(Stream &stream) {
    if (stream.queue.empty()) return false;
    if (const auto await = std::get_if<Await>(&stream.queue.front()); await && !await->mark->isPassed)
        return step(*await->mark->stream);
    const Operation operation = std::move(stream.queue.front());
    stream.queue.pop_front();
    perform(operation);
    return true;
}

void quire_shim_device::finish(Stream &stream) {
    if (isReversed)
        for (Stream &other : streams)
            if (&other != &stream)
                while (!isBlocked(other)) step(other);
    while (step(stream)) continue;
}

void quire_shim_device::finishAll() {
    for (Stream &stream : streams) finish(stream);
}

bool quire_shim_device::isCapturing() const {
    for (const Stream &stream : streams)
        if (stream.capture != Capture::none) return true;
    return false;
}

bool quire_shim_device::isUsed(uint64_t host, size_t bytes) const {
    for (const Stream &stream : streams) {
        for (const Operation &operation : stream.queue) {
            const auto copy = std::get_if<Copy>(&operation);
            if (!copy) continue;
            if (!copy->isToDevice && copy->to < host + bytes && host < copy->to + copy->bytes) return true;
            if (!copy->isFromDevice && copy->from < host + bytes && host < copy->from + copy->bytes) return true;
        }
    }
    return false;
}

void quire_shim_device::remove(Stream *stream) {
    // Nobody waits for what is left: its host memory may be gone.
    for (const Operation &operation : stream->queue)
        if (const auto record = std::get_if<Record>(&operation)) record->mark->isPassed = true;
    streams.remove_if([=](const Stream &other) { return &other == stream; });
}

void quire_shim_device::perform(const Operation &operation) {
    if (const auto record = std::get_if<Record>(&operation)) {
        record->mark->isPassed = true;
        record->mark->time = std::chrono::steady_clock::now();
        return;
    }
    // A broken device comes to the end of its queues without doing anything.
    if (!failure.empty()) return;
    if (const auto launch = std::get_if<Launch>(&operation)) perform(*launch);
    else if (const auto copy = std::get_if<Copy>(&operation)) perform(*copy);
    else if (const auto fill = std::get_if<Fill>(&operation)) perform(*fill);
    else if (const auto work = std::get_if<Work>(&operation)) failure = work->run();
}

void quire_shim_device::perform(const Launch &launch) {
    const void *arguments[mostArguments];
    for (int i = 0; i < launch.kernel->arguments; i++) arguments[i] = &launch.arguments[i];
    const size_t number = kernelNumber(launch.kernel);
    if (launches.size() <= number) launches.resize(number + 1);
    launches[number]++;
    const auto run = launch.kernel->run;
    shim::launch(launch.grid, launch.block, launch.sharedBytes, isReversed, [&] { run(arguments); });
    if (const char *problem = shim::failure()) failure = std::string(launch.kernel->name) + ": " + problem;
}

void quire_shim_device::perform(const Copy &copy) {
    const bool isThere = (!copy.isToDevice || heap.contains(copy.to, copy.bytes))
        && (!copy.isFromDevice || heap.contains(copy.from, copy.bytes));
    if (isThere) memmove((void *)copy.to, (const void *)copy.from, copy.bytes);
    else failure = "a copy uses memory of the device that was given back";
}

void quire_shim_device::perform(const Fill &fill) {
    if (heap.contains(fill.address, fill.bytes)) memset((void *)fill.address, fill.value, fill.bytes);
    else failure = "memory of the device is filled that was given back";
}

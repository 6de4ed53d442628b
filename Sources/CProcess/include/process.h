// What Linux offers for processes and files and Swift's Glibc module does not import: GNU extensions and variadic calls.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Makes a pipe whose ends are closed in programs that are started: ends[0] for reading, ends[1] for writing.
// Returns 0, or -1 with errno.
int quire_pipe(int *ends);

// Makes an unnamed file in memory, closed in programs that are started. Returns its descriptor, or -1 with errno.
int quire_memory_file(void);

// Asks for a pipe that holds so many bytes; the system may refuse, which does no harm.
void quire_pipe_capacity(int descriptor, int bytes);

// Makes two connected sockets that keep the borders of messages, closed in programs that are started.
// Returns 0, or -1 with errno.
int quire_socket_pair(int *ends);

// Hands over copies of 1 to 4 descriptors in one message. Returns 0, or -1 with errno (EPIPE where nobody is left).
int quire_send_descriptors(int socket, const int *descriptors, int count);

// Waits for such a message and takes its descriptors, which belong to the caller; `descriptors` has room for 4.
// Returns how many they are, 0 where the other end is closed, or -1 with errno.
int quire_receive_descriptors(int socket, int *descriptors);

// Starts `path` in a process group of its own, with no signal blocked or ignored, /dev/null as input, `descriptors` as
// 1, 2, 3, ... and every other descriptor closed. All of them must be above `count`. `arguments` and `environment` end
// with null. Returns 0 and the process id, or an error number.
int quire_spawn(
    pid_t *process, const char *path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment,
    const int *descriptors, int count);

// Has this process killed when the thread that started it ends, and forbids it new privileges for good.
// Returns 0, or -1 with errno.
int quire_die_with_parent(void);
int quire_no_new_privileges(void);

// The magic number of the file system that a path lies on (linux/magic.h), or -1 with errno.
long quire_file_system(const char *path);

// Lets two paths of one file system change places, in one step. Returns 0, or -1 with errno (EINVAL where the file system
// cannot do it).
int quire_exchange(const char *one, const char *other);

#pragma clang assume_nonnull end

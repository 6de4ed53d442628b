#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

int quire_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }

int quire_memory_file(void) { return memfd_create("quire", MFD_CLOEXEC); }

void quire_pipe_capacity(int descriptor, int bytes) { (void)fcntl(descriptor, F_SETPIPE_SZ, bytes); }

int quire_socket_pair(int *ends) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

enum { most_descriptors = 4 };

// Room for the descriptors of one message, aligned as the headers ask for.
typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * most_descriptors)];
} descriptor_message;

int quire_send_descriptors(int socket, const int *descriptors, int count) {
    if (count < 1 || count > most_descriptors) {
        errno = EINVAL;
        return -1;
    }
    char byte = 0;
    descriptor_message control;
    memset(&control, 0, sizeof control);
    struct iovec body = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)count);
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1 ? 0 : -1;
}

int quire_receive_descriptors(int socket, int *descriptors) {
    char byte;
    descriptor_message control;
    struct iovec body = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return (int)got;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        errno = EPROTO;
        return -1;
    }
    size_t bytes = header->cmsg_len - CMSG_LEN(0);
    memcpy(descriptors, CMSG_DATA(header), bytes);
    return (int)(bytes / sizeof(int));
}

static int spawn_with(
    pid_t *process, const char *path, char *const *arguments, char *const *environment, const int *descriptors,
    int count, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawnattr_setsigmask(attributes, &none);
    if (!failure) failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failure) failure = posix_spawnattr_setpgroup(attributes, 0);
    if (!failure)
        failure = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!failure) failure = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < count && !failure; i++)
        failure = posix_spawn_file_actions_adddup2(actions, descriptors[i], i + 1);
    if (!failure) failure = posix_spawn_file_actions_addclosefrom_np(actions, count + 1);
    return failure ? failure : posix_spawn(process, path, actions, attributes, arguments, environment);
}

int quire_spawn(
    pid_t *process, const char *path, char *const *arguments, char *const *environment, const int *descriptors,
    int count) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure) return failure;
    failure = posix_spawnattr_init(&attributes);
    if (!failure) {
        failure = spawn_with(process, path, arguments, environment, descriptors, count, &actions, &attributes);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

int quire_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

int quire_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

long quire_file_system(const char *path) {
    struct statfs system;
    return statfs(path, &system) == 0 ? (long)((unsigned long)system.f_type & 0xFFFFFFFFul) : -1;
}

int quire_exchange(const char *one, const char *other) {
    return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

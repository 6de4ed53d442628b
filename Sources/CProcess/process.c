#define _GNU_SOURCE
#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

int quire_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }

int quire_memory_file(void) { return memfd_create("quire", MFD_CLOEXEC); }

void quire_pipe_capacity(int descriptor, int bytes) { (void)fcntl(descriptor, F_SETPIPE_SZ, bytes); }

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

// Preloaded into a program, it notes what the program does to files below $QUIRE_CUT_ROOT, in their order, so that a test can
// reckon what a disk would hold after a power cut. With $QUIRE_CUT_AFTER the program is killed at that operation, or, with
// $QUIRE_CUT_ERROR, whatever would write from then on fails with that errno. With $QUIRE_CUT_FOLD the folder compares names without case, as SMB, exFAT and APFS do (ASCII only).
// With $QUIRE_CUT_NEVER_SYNC nothing waits for the disk.
//
// $QUIRE_CUT_LOG gets a line for each operation: a verb, paths, with tabs between; "sync" has the number of a copy of
// the file's content, which lies beside the log as LOG.NUMBER.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count = 0;

#define REAL(name) \
    static __typeof__(&name) real = NULL; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int is_below(const char *path) {
    const char *root = getenv("QUIRE_CUT_ROOT");
    if (!root || !path) return 0;
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && path[length] == '/';
}

/// Copies a file for the log; called with the lock held.
static void copy(const char *path, long number) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.%ld", getenv("QUIRE_CUT_LOG"), number);
    FILE *from = fopen(path, "r"), *to = fopen(name, "w");
    char buffer[1 << 16];
    size_t size;
    while (from && to && (size = fread(buffer, 1, sizeof buffer, from)) > 0) fwrite(buffer, 1, size, to);
    if (from) fclose(from);
    if (to) fclose(to);
}

/// Notes an operation that is about to be done; the program may end here. Nonzero, with errno, where the operation fails.
static int note(const char *verb, const char *one, const char *two) {
    const char *name = getenv("QUIRE_CUT_LOG"), *after = getenv("QUIRE_CUT_AFTER"), *error = getenv("QUIRE_CUT_ERROR");
    if (!name) return 0;
    pthread_mutex_lock(&lock);
    if (after && count >= atol(after)) {
        if (error) {
            int fails = strcmp(verb, "unlink") != 0 && strcmp(verb, "rmdir") != 0;
            pthread_mutex_unlock(&lock);
            if (fails) errno = atoi(error);
            return fails;
        }
        raise(SIGKILL);
        for (;;) pause();
    }
    count++;
    int isSync = strcmp(verb, "sync") == 0;
    if (isSync) copy(one, count);
    FILE *log = fopen(name, "a");
    if (log) {
        if (isSync) fprintf(log, "%s\t%s\t%ld\n", verb, one, count);
        else fprintf(log, "%s\t%s\t%s\n", verb, one, two ? two : "");
        fclose(log);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

/// The path as a folder without case would find it: each name that is there in another case.
static const char *folded(const char *path, char *buffer) {
    if (!getenv("QUIRE_CUT_FOLD") || !is_below(path)) return path;
    size_t root = strlen(getenv("QUIRE_CUT_ROOT"));
    memcpy(buffer, path, root);
    buffer[root] = 0;
    char rest[PATH_MAX], *next = rest, *name;
    snprintf(rest, sizeof rest, "%s", path + root + 1);
    while ((name = strsep(&next, "/"))) {
        if (!*name) continue;
        char found[NAME_MAX + 1];
        snprintf(found, sizeof found, "%.255s", name);
        DIR *folder = opendir(buffer);
        struct dirent *entry;
        while (folder && (entry = readdir(folder)))
            if (strcasecmp(entry->d_name, name) == 0) snprintf(found, sizeof found, "%s", entry->d_name);
        if (folder) closedir(folder);
        size_t used = strlen(buffer);
        snprintf(buffer + used, PATH_MAX - used, "/%s", found);
    }
    return buffer;
}

static int opened(const char *path, int flags, mode_t mode) {
    static int (*real)(const char *, int, ...) = NULL;
    if (!real) real = dlsym(RTLD_NEXT, "open");
    char buffer[PATH_MAX];
    path = folded(path, buffer);
    if (is_below(path) && (flags & (O_CREAT | O_TRUNC))) {
        struct stat info;
        int isThere = lstat(path, &info) == 0;
        if ((!isThere || !(flags & O_EXCL)) && note(isThere ? "empty" : "create", path, NULL)) return -1;
    }
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

ssize_t write(int file, const void *bytes, size_t size) {
    REAL(write);
    char path[PATH_MAX];
    if (getenv("QUIRE_CUT_ROOT") && path_of(file, path) && is_below(path) && note("write", path, NULL)) return -1;
    return real(file, bytes, size);
}

int fsync(int file) {
    REAL(fsync);
    if (getenv("QUIRE_CUT_NEVER_SYNC")) return 0;
    char path[PATH_MAX];
    int result = real(file);
    const char *root = getenv("QUIRE_CUT_ROOT");
    if (root && path_of(file, path) && (is_below(path) || strcmp(path, root) == 0) && note("sync", path, NULL)) return -1;
    return result;
}

#define ONE(name, verb, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        char buffer[PATH_MAX]; \
        path = folded(path, buffer); \
        struct stat info; \
        if (is_below(path) && (lstat(path, &info) == 0) == (strcmp(verb, "mkdir") != 0) && note(verb, path, NULL)) return -1; \
        return real arguments; \
    }

ONE(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))
ONE(unlink, "unlink", (const char *path), (path))

int rmdir(const char *path) {
    REAL(rmdir);
    char buffer[PATH_MAX];
    path = folded(path, buffer);
    int isEmpty = 1;
    DIR *folder = is_below(path) ? opendir(path) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) isEmpty = 0;
    if (folder) closedir(folder);
    if (folder && isEmpty && note("rmdir", path, NULL)) return -1;
    return real(path);
}

#define TWO(name) \
    int name(const char *from, const char *to) { \
        REAL(name); \
        char one[PATH_MAX], two[PATH_MAX]; \
        from = folded(from, one); \
        to = folded(to, two); \
        if (is_below(from) && is_below(to) && note(#name, from, to)) return -1; \
        return real(from, to); \
    }

TWO(rename)
TWO(link)

int lstat(const char *restrict path, struct stat *restrict info) {
    static int (*real)(const char *, struct stat *) = NULL;
    if (!real) real = dlsym(RTLD_NEXT, "lstat");
    char buffer[PATH_MAX];
    return real(folded(path, buffer), info);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    char buffer[PATH_MAX];
    // `folded` itself opens folders, by names that it has found.
    static __thread int isInside = 0;
    if (isInside) return real(path);
    isInside = 1;
    path = folded(path, buffer);
    DIR *folder = real(path);
    isInside = 0;
    return folder;
}

/* Preloaded: appends the path of every file and folder that is synced to the file that SYNCS names, one a line. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(int file) {
    char link[64], path[PATH_MAX + 1];
    const char *where = getenv("SYNCS");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX);
    int log = where && length > 0 ? open(where, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (log < 0)
        return;
    path[length] = '\n';
    if (write(log, path, length + 1) < 0)
        abort();
    close(log);
}

int fsync(int file) {
    int failed = ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
    if (!failed)
        note(file);
    return failed;
}

int fdatasync(int file) {
    int failed = ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
    if (!failed)
        note(file);
    return failed;
}

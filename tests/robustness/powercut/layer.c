/* A disk that can lose its power, put under a program with LD_PRELOAD.

   Each operation on files below POWERCUT_ROOT is executed, and also written to POWERCUT_LOG: one record after
   the other, in the order of execution, under one lock. POWERCUT_SWITCH is a mapped file that holds how many of
   these calls the power still lasts for: at the last one the process is killed before it is executed. disk.py, which
   knows these records, derives the possible contents of the disk from the log afterwards.

   The real calls go to the kernel directly. Mapped memory (SQLite's -shm) is not recorded: a cut destroys it. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FILES 65536

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, UNLINK, RENAME, LINK, FOLDER };

struct record {
    uint32_t kind, name_length;
    uint64_t inode, offset, length; /* length: of the data, or the new size */
};

struct mains {
    int64_t lasts; /* calls until the power goes; 0: it does not */
    int64_t calls;
};

struct opened {
    uint64_t inode; /* 0: not below the root */
    char folder;
    char appends;
};

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static struct opened opened[FILES];
static struct mains *mains;
static char root[PATH_MAX];
static size_t root_length;
static int log_file = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("POWERCUT_ROOT"), *log = getenv("POWERCUT_LOG"), *control = getenv("POWERCUT_SWITCH");
    if (!folder || !log || !control || !realpath(folder, root))
        return;
    root_length = strlen(root);
    int file = syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC);
    mains = mmap(NULL, sizeof *mains, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    log_file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (mains == MAP_FAILED || log_file < 0)
        abort();
}

/* Return the name below the root ("" for the root itself), or NULL for a path outside it. */
static const char *ours(int at, const char *path, char *buffer)
{
    char folder[PATH_MAX], *last;
    if (log_file < 0 || !path)
        return NULL;
    if (path[0] == '/')
        snprintf(folder, sizeof folder, "%s", path);
    else if (at == AT_FDCWD && getcwd(buffer, PATH_MAX))
        snprintf(folder, sizeof folder, "%s/%s", buffer, path);
    else
        return NULL;
    /* the last part may not exist yet, or be a link: resolve only the folders before it */
    last = strrchr(folder, '/');
    *last++ = 0;
    if (!realpath(folder[0] ? folder : "/", buffer))
        return NULL;
    if (strlen(buffer) + strlen(last) + 2 > PATH_MAX)
        return NULL;
    if (*last && strcmp(last, "."))
        sprintf(buffer + strlen(buffer), "/%s", last);
    if (strncmp(buffer, root, root_length) || (buffer[root_length] && buffer[root_length] != '/'))
        return NULL;
    return buffer + root_length + (buffer[root_length] == '/');
}

static struct opened *known(int file)
{
    return log_file >= 0 && file >= 0 && file < FILES && opened[file].inode ? &opened[file] : NULL;
}

/* Called before each call: cut the power if it is due. */
static void powered(void)
{
    mains->calls++;
    if (mains->lasts && !--mains->lasts) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
}

static void record(enum kind kind, const char *name, uint64_t inode, uint64_t offset, uint64_t length, const void *data)
{
    struct record head = {kind, name ? strlen(name) : 0, inode, offset, length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, head.name_length}, {(void *)data, data ? length : 0}};
    size_t whole = sizeof head + parts[1].iov_len + parts[2].iov_len;
    if (syscall(SYS_writev, log_file, parts, 3) != (ssize_t)whole)
        abort(); /* a log with gaps would prove nothing */
}

static void lock(void) { pthread_mutex_lock(&one_at_a_time); }

static void unlock(void)
{
    int error = errno;
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
}

static int open_file(int at, const char *path, int flags, mode_t mode)
{
    char buffer[PATH_MAX];
    struct stat status;
    const char *name = ours(at, path, buffer);
    if (!name)
        return syscall(SYS_openat, at, path, flags, mode);
    lock();
    int is_new = (flags & O_CREAT) && fstatat(at, path, &status, 0) < 0;
    if (is_new || (flags & O_TRUNC))
        powered();
    int file = syscall(SYS_openat, at, path, flags, mode);
    if (file >= 0 && file < FILES && fstat(file, &status) == 0) {
        opened[file] = (struct opened){status.st_ino, S_ISDIR(status.st_mode), !!(flags & O_APPEND)};
        if (is_new)
            record(CREATE, name, status.st_ino, 0, 0, NULL);
        else if (flags & O_TRUNC)
            record(TRUNCATE, NULL, status.st_ino, 0, 0, NULL);
        if (opened[file].folder) /* needed to know its name when it is synced */
            record(FOLDER, name, status.st_ino, 0, 0, NULL);
    }
    unlock();
    return file;
}

static mode_t mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(NAME)                                       \
    EXPORT int NAME(const char *path, int flags, ...)    \
    {                                                    \
        va_list rest;                                    \
        va_start(rest, flags);                           \
        mode_t mode = mode_of(flags, rest);              \
        va_end(rest);                                    \
        return open_file(AT_FDCWD, path, flags, mode);   \
    }
OPEN(open)
OPEN(open64)

#define OPEN_AT(NAME)                                          \
    EXPORT int NAME(int at, const char *path, int flags, ...)  \
    {                                                          \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = mode_of(flags, rest);                    \
        va_end(rest);                                          \
        return open_file(at, path, flags, mode);               \
    }
OPEN_AT(openat)
OPEN_AT(openat64)

EXPORT int close(int file)
{
    if (known(file))
        opened[file].inode = 0;
    return syscall(SYS_close, file);
}

/* offset < 0: the current position of the file */
static ssize_t write_file(int file, const struct iovec *parts, int count, off_t offset)
{
    struct opened *it = known(file);
    struct stat status;
    if (!it)
        return offset < 0 ? syscall(SYS_writev, file, parts, count) : syscall(SYS_pwritev, file, parts, count, offset, 0);
    lock();
    powered();
    if (it->appends && fstat(file, &status) == 0)
        offset = status.st_size;
    off_t start = offset < 0 ? lseek(file, 0, SEEK_CUR) : offset;
    ssize_t written = offset < 0 || it->appends ? syscall(SYS_writev, file, parts, count)
                                                : syscall(SYS_pwritev, file, parts, count, offset, 0);
    off_t at = start;
    for (ssize_t left = written; left > 0; parts++) {
        size_t length = left < (ssize_t)parts->iov_len ? (size_t)left : parts->iov_len;
        record(WRITE, NULL, it->inode, at, length, parts->iov_base);
        at += length;
        left -= length;
    }
    unlock();
    return written;
}

EXPORT ssize_t write(int file, const void *data, size_t length)
{
    if (!known(file))
        return syscall(SYS_write, file, data, length);
    return write_file(file, &(struct iovec){(void *)data, length}, 1, -1);
}

EXPORT ssize_t writev(int file, const struct iovec *parts, int count) { return write_file(file, parts, count, -1); }

#define PWRITE(NAME)                                                                \
    EXPORT ssize_t NAME(int file, const void *data, size_t length, off_t offset)    \
    {                                                                               \
        if (!known(file))                                                           \
            return syscall(SYS_pwrite64, file, data, length, offset);               \
        return write_file(file, &(struct iovec){(void *)data, length}, 1, offset);  \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(NAME)                                                                    \
    EXPORT ssize_t NAME(int file, const struct iovec *parts, int count, off_t offset)    \
    {                                                                                    \
        return write_file(file, parts, count, offset);                                   \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

static int truncate_file(int file, off_t size)
{
    struct opened *it = known(file);
    if (!it)
        return syscall(SYS_ftruncate, file, size);
    lock();
    powered();
    int failed = syscall(SYS_ftruncate, file, size);
    if (!failed)
        record(TRUNCATE, NULL, it->inode, 0, size, NULL);
    unlock();
    return failed;
}

EXPORT int ftruncate(int file, off_t size) { return truncate_file(file, size); }
EXPORT int ftruncate64(int file, off_t size) { return truncate_file(file, size); }

static int sync_file(int file, long call)
{
    struct opened *it = known(file);
    if (!it)
        return syscall(call, file);
    lock();
    powered();
    int failed = syscall(call, file);
    if (!failed)
        record(it->folder ? SYNC_FOLDER : SYNC, NULL, it->inode, 0, 0, NULL);
    unlock();
    return failed;
}

EXPORT int fsync(int file) { return sync_file(file, SYS_fsync); }
EXPORT int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }

EXPORT int unlink(const char *path)
{
    char buffer[PATH_MAX];
    const char *name = ours(AT_FDCWD, path, buffer);
    if (!name)
        return unlinkat(AT_FDCWD, path, 0);
    lock();
    powered();
    int failed = unlinkat(AT_FDCWD, path, 0);
    if (!failed)
        record(UNLINK, name, 0, 0, 0, NULL);
    unlock();
    return failed;
}

static int call_two(enum kind kind, const char *from, const char *to)
{
    return kind == RENAME ? renameat(AT_FDCWD, from, AT_FDCWD, to) : linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* RENAME and LINK: the old name, and the new one as data */
static int two_names(enum kind kind, const char *from, const char *to)
{
    char old_buffer[PATH_MAX], new_buffer[PATH_MAX];
    const char *old_name = ours(AT_FDCWD, from, old_buffer), *new_name = ours(AT_FDCWD, to, new_buffer);
    if (!old_name || !new_name)
        return call_two(kind, from, to);
    lock();
    powered();
    int failed = call_two(kind, from, to);
    if (!failed)
        record(kind, old_name, 0, 0, strlen(new_name), new_name);
    unlock();
    return failed;
}

EXPORT int rename(const char *from, const char *to) { return two_names(RENAME, from, to); }
EXPORT int link(const char *from, const char *to) { return two_names(LINK, from, to); }

EXPORT int mkdir(const char *path, mode_t mode)
{
    char buffer[PATH_MAX];
    struct stat status;
    const char *name = ours(AT_FDCWD, path, buffer);
    if (!name)
        return mkdirat(AT_FDCWD, path, mode);
    lock();
    powered();
    int failed = mkdirat(AT_FDCWD, path, mode);
    if (!failed && fstatat(AT_FDCWD, path, &status, 0) == 0) {
        record(CREATE, name, status.st_ino, 0, 1, NULL);
        record(FOLDER, name, status.st_ino, 0, 0, NULL);
    }
    unlock();
    return failed;
}

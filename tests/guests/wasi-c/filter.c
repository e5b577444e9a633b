/* Calls every function of WASI preview 1, through the C library or directly; a record passes if all results are as
 * expected. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir.h"

WEIR_FILTER("wasi", "1.0.0", "calls every function of WASI")

#define WASI(name, ...) \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int32_t w_##name(__VA_ARGS__);
typedef int32_t n;
typedef int64_t l;
WASI(args_get, n, n) WASI(args_sizes_get, n, n) WASI(environ_get, n, n) WASI(environ_sizes_get, n, n)
WASI(clock_res_get, n, n) WASI(clock_time_get, n, l, n) WASI(fd_advise, n, l, l, n) WASI(fd_allocate, n, l, l)
WASI(fd_close, n) WASI(fd_datasync, n) WASI(fd_fdstat_get, n, n) WASI(fd_fdstat_set_flags, n, n)
WASI(fd_fdstat_set_rights, n, l, l) WASI(fd_filestat_get, n, n) WASI(fd_filestat_set_size, n, l)
WASI(fd_filestat_set_times, n, l, l, n) WASI(fd_pread, n, n, n, l, n) WASI(fd_prestat_get, n, n)
WASI(fd_prestat_dir_name, n, n, n) WASI(fd_pwrite, n, n, n, l, n) WASI(fd_read, n, n, n, n)
WASI(fd_readdir, n, n, n, l, n) WASI(fd_renumber, n, n) WASI(fd_seek, n, l, n, n) WASI(fd_sync, n)
WASI(fd_tell, n, n) WASI(fd_write, n, n, n, n) WASI(path_create_directory, n, n, n)
WASI(path_filestat_get, n, n, n, n, n) WASI(path_filestat_set_times, n, n, n, n, l, l, n)
WASI(path_link, n, n, n, n, n, n, n) WASI(path_open, n, n, n, n, n, l, l, n, n) WASI(path_readlink, n, n, n, n, n, n)
WASI(path_remove_directory, n, n, n) WASI(path_rename, n, n, n, n, n, n) WASI(path_symlink, n, n, n, n, n)
WASI(path_unlink_file, n, n, n) WASI(poll_oneoff, n, n, n, n) WASI(proc_exit, n) WASI(proc_raise, n)
WASI(random_get, n, n) WASI(sched_yield, void) WASI(sock_accept, n, n, n) WASI(sock_recv, n, n, n, n, n, n)
WASI(sock_send, n, n, n, n, n) WASI(sock_shutdown, n, n)

const char *weir_configure(weir_value options)
{
    (void)options;
    return NULL;
}

#define EXPECT(what) do { if (!(what)) return #what; } while (0)
/* The descriptor does not exist. */
#define BAD(call) EXPECT(w_##call == 8)

static const char *no_files(n p)
{
    BAD(fd_advise(3, 0, 0, 0)); BAD(fd_allocate(3, 0, 0)); BAD(fd_datasync(3)); BAD(fd_sync(3));
    BAD(fd_fdstat_get(3, p)); BAD(fd_fdstat_set_flags(3, 0)); BAD(fd_fdstat_set_rights(3, 0, 0));
    BAD(fd_filestat_get(3, p)); BAD(fd_filestat_set_size(3, 0)); BAD(fd_filestat_set_times(3, 0, 0, 0));
    BAD(fd_pread(3, p, 1, 0, p)); BAD(fd_pwrite(3, p, 1, 0, p)); BAD(fd_read(3, p, 0, p)); BAD(fd_write(3, p, 0, p));
    BAD(fd_prestat_get(3, p)); BAD(fd_prestat_dir_name(3, p, 1)); BAD(fd_readdir(3, p, 1, 0, p)); BAD(fd_close(3));
    BAD(fd_renumber(3, 4)); BAD(fd_seek(3, 0, 0, p)); BAD(fd_tell(3, p));
    BAD(path_create_directory(3, p, 1)); BAD(path_filestat_get(3, 0, p, 1, p));
    BAD(path_filestat_set_times(3, 0, p, 1, 0, 0, 0)); BAD(path_link(3, 0, p, 1, 3, p, 1));
    BAD(path_open(3, 0, p, 1, 0, 0, 0, 0, p)); BAD(path_readlink(3, p, 1, p, 1, p)); BAD(path_remove_directory(3, p, 1));
    BAD(path_rename(3, p, 1, 3, p, 1)); BAD(path_symlink(p, 1, 3, p, 1)); BAD(path_unlink_file(3, p, 1));
    BAD(sock_accept(3, 0, p)); BAD(sock_recv(3, p, 1, 0, p, p)); BAD(sock_send(3, p, 1, 0, p)); BAD(sock_shutdown(3, 0));
    EXPECT(fopen("/etc/passwd", "r") == NULL && fopen("here", "w") == NULL);
    return NULL;
}

static const char *nothing_given(n p)
{
    int32_t *pair = (int32_t *)p;
    pair[0] = pair[1] = 7;
    EXPECT(w_args_sizes_get(p, p + 4) == 0 && pair[0] == 0 && pair[1] == 0 && w_args_get(p, p) == 0);
    pair[0] = pair[1] = 7;
    EXPECT(w_environ_sizes_get(p, p + 4) == 0 && pair[0] == 0 && pair[1] == 0 && w_environ_get(p, p) == 0);
    EXPECT(getenv("PATH") == NULL && getenv("HOME") == NULL);
    EXPECT(getchar() == EOF && feof(stdin));
    return NULL;
}

static const char *clocks_and_chance(n p)
{
    int64_t now = weir_now(), resolution = 0, mine = 0;
    EXPECT(w_clock_res_get(0, (n)&resolution) == 0 && resolution > 0);
    EXPECT(w_clock_time_get(0, 0, (n)&mine) == 0 && mine > 0);
    /* The same clock: at most a minute between the two calls. */
    EXPECT(mine >= now && mine - now < 60000000000ll);
    EXPECT(time(NULL) >= now / 1000000000);
    struct timespec before, after, wait = { 0, 250000000 };
    EXPECT(clock_gettime(CLOCK_MONOTONIC, &before) == 0 && nanosleep(&wait, NULL) == 0);
    EXPECT(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    int64_t slept = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    EXPECT(slept >= wait.tv_nsec);
    EXPECT(w_poll_oneoff(p, p, 0, p) == 28 && w_sched_yield() == 0);
    unsigned char once[32] = { 0 }, twice[32] = { 0 }, zero[32] = { 0 };
    EXPECT(getentropy(once, 32) == 0 && w_random_get((n)twice, 32) == 0);
    EXPECT(memcmp(once, twice, 32) && memcmp(once, zero, 32) && memcmp(once, once + 16, 16));
    return NULL;
}

static const char *streams(n p)
{
    unsigned char stat[24] = { 0 };
    for (n fd = 0; fd < 3; fd++)
        EXPECT(w_fd_fdstat_get(fd, (n)stat) == 0 && stat[0] == 2 && w_fd_fdstat_set_flags(fd, 0) == 0);
    EXPECT(w_fd_write(0, p, 0, p) == 8);
    EXPECT(printf("printed in %s\n", "C") == 13 && fflush(stdout) == 0);
    EXPECT(fprintf(stderr, "an error in %s\n", "C") == 14);
    EXPECT(w_fd_close(0) == 0);
    return NULL;
}

weir_verdict weir_process(weir_record *record)
{
    static int32_t room[64];
    memset(room, 0, sizeof room);
    n p = (n)room;
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("exit")))
        exit(3);
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("raise")))
        w_proc_raise(6);
    const char *wrong = no_files(p);
    wrong = wrong ? wrong : nothing_given(p);
    wrong = wrong ? wrong : clocks_and_chance(p);
    wrong = wrong ? wrong : streams(p);
    if (wrong)
        return weir_fail(record, weir_text_of(wrong));
    weir_set_boolean(record, "as_it_should_be", true);
    return WEIR_KEEP;
}

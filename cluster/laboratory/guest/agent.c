/*
 * The guest's agent: PID 1's last exec. It runs shell commands that arrive on a serial port and copies files while
 * measuring how long they stood still.
 *
 *   agent PORT        requests "ID COMMAND\n" in; "ID > LINE\n" for each line of output and "ID = STATUS\n" out
 *   hfcopy FROM TO    "progress BYTES STILL_MS" ten times a second, "still MS BYTES" after each pause of 300 ms or more,
 *                     at the end "copied BYTES MS LONGEST_STILL_MS AT_BYTE"
 *
 * Commands run side by side. Nothing here retries or hides an error: what the kernel's client returns is the finding.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { jobs_limit = 64, line_limit = 4096, chunk_size = 1 << 20, window = chunk_size, told_still = 300 };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* -- hfcopy ------------------------------------------------------------------------------------------------------ */

static _Atomic int64_t copied_bytes, last_progress, longest_still, longest_still_at;

static void progressed(int64_t bytes)
{
    int64_t now = now_ms(), still = now - last_progress;
    if (still > longest_still) {
        longest_still = still;
        longest_still_at = copied_bytes;
    }
    if (still >= told_still) printf("still %lld %lld\n", (long long)still, (long long)copied_bytes);
    copied_bytes += bytes;
    last_progress = now;
}

/* A thread, not a timer signal: a signal would interrupt the very system calls that are being judged. */
static void *report(void *unused)
{
    (void)unused;
    for (;;) {
        printf("progress %lld %lld\n", (long long)copied_bytes, (long long)(now_ms() - last_progress));
        fflush(stdout);
        usleep(100 * 1000);
    }
    return NULL;
}

static int failed(const char *what, const char *path)
{
    printf("error %s %s: %s (at byte %lld)\n", what, path, strerror(errno), (long long)copied_bytes);
    fflush(stdout);
    return 1;
}

static int copy(const char *from, const char *to)
{
    static char chunk[chunk_size];
    int64_t start = now_ms();
    pthread_t reporter;
    int in, out;
    ssize_t got;
    off_t written = 0;

    last_progress = start;
    if (pthread_create(&reporter, NULL, report, NULL) != 0) return failed("thread for", to);
    if ((in = open(from, O_RDONLY)) < 0) return failed("open", from);
    if ((out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644)) < 0) return failed("create", to);
    progressed(0);
    while ((got = read(in, chunk, sizeof chunk)) != 0) {
        if (got < 0) return failed("read", from);
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(out, chunk + done, (size_t)(got - done));
            if (put < 0) return failed("write", to);
            done += put;
        }
        /* Otherwise the client's page cache takes it all at once and the whole copy is one long close. */
        written += got;
        if (sync_file_range(out, written - got, got, SYNC_FILE_RANGE_WRITE) < 0) return failed("write back", to);
        if (written >= window + chunk_size
            && sync_file_range(out, written - window - chunk_size, chunk_size, SYNC_FILE_RANGE_WAIT_AFTER) < 0)
            return failed("write back", to);
        progressed(got);
    }
    /* No fsync: people's copies do not, and this client answers EBADF to one on a handle that it has yet to reopen
       (docs/LAB.md). Closing writes back what is dirty and tells of errors. */
    if (close(out) < 0) return failed("close", to);
    if (close(in) < 0) return failed("close", from);
    progressed(0);
    printf("copied %lld %lld %lld %lld\n", (long long)copied_bytes, (long long)(now_ms() - start),
           (long long)longest_still, (long long)longest_still_at);
    fflush(stdout);
    return 0;
}

/* -- agent ------------------------------------------------------------------------------------------------------- */

struct job {
    pid_t pid; /* 0: free */
    int output;
    char name[32];
    char line[line_limit];
    size_t used;
};
static struct job jobs[jobs_limit];
static int port;

static void send_all(const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t put = write(port, bytes, count);
        if (put < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                usleep(1000);
                continue;
            }
            return; /* the laboratory hung up; it opens the port again or ends the guest */
        }
        bytes += put;
        count -= (size_t)put;
    }
}

static void send_line(const char *name, char kind, const char *text)
{
    char line[line_limit + 64];
    int count = snprintf(line, sizeof line, "%s %c %s\n", name, kind, text);
    send_all(line, (size_t)count);
}

static void flush_line(struct job *job)
{
    job->line[job->used] = 0;
    send_line(job->name, '>', job->line);
    job->used = 0;
}

/* Returns 0 once the job closed its output and was waited for. */
static int drain(struct job *job)
{
    char bytes[4096], status_text[16];
    ssize_t got = read(job->output, bytes, sizeof bytes);
    int status = 0;

    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] == '\n' || job->used == sizeof job->line - 1) flush_line(job);
        if (bytes[i] != '\n') job->line[job->used++] = bytes[i];
    }
    if (got > 0 || (got < 0 && errno == EINTR)) return 1;
    if (job->used > 0) flush_line(job);
    close(job->output);
    waitpid(job->pid, &status, 0);
    snprintf(status_text, sizeof status_text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    send_line(job->name, '=', status_text);
    job->pid = 0;
    return 0;
}

static void start(char *request)
{
    char *command = strchr(request, ' ');
    struct job *job = NULL;
    int ends[2];

    if (command == NULL) return;
    *command++ = 0;
    for (int i = 0; i < jobs_limit && job == NULL; i++) {
        if (jobs[i].pid == 0) job = &jobs[i];
    }
    if (job == NULL || pipe2(ends, O_CLOEXEC) < 0) {
        send_line(request, '>', "agent: too many commands at once");
        send_line(request, '=', "126");
        return;
    }
    snprintf(job->name, sizeof job->name, "%.31s", request);
    job->used = 0;
    job->output = ends[0];
    job->pid = fork();
    if (job->pid == 0) {
        int nothing = open("/dev/null", O_RDONLY);
        setsid();
        dup2(nothing, 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
}

static int serve(const char *path)
{
    static char request[16384];
    size_t used = 0;

    signal(SIGPIPE, SIG_IGN);
    if ((port = open(path, O_RDWR | O_CLOEXEC)) < 0) {
        perror(path);
        return 1;
    }
    send_line("0", '=', "0"); /* ready */
    for (;;) {
        struct pollfd polled[jobs_limit + 1];
        struct job *owners[jobs_limit + 1];
        nfds_t count = 1;

        polled[0] = (struct pollfd){.fd = port, .events = POLLIN};
        for (int i = 0; i < jobs_limit; i++) {
            if (jobs[i].pid == 0) continue;
            polled[count] = (struct pollfd){.fd = jobs[i].output, .events = POLLIN};
            owners[count++] = &jobs[i];
        }
        if (poll(polled, count, 1000) < 0) continue;
        for (nfds_t i = 1; i < count; i++) {
            if (polled[i].revents) drain(owners[i]);
        }
        if (polled[0].revents & POLLIN) {
            ssize_t got = read(port, request + used, sizeof request - 1 - used);
            if (got <= 0) {
                usleep(100 * 1000);
                continue;
            }
            used += (size_t)got;
            for (char *end; (end = memchr(request, '\n', used)) != NULL;) {
                size_t length = (size_t)(end - request) + 1;
                *end = 0;
                start(request);
                memmove(request, request + length, used - length);
                used -= length;
            }
            if (used == sizeof request - 1) used = 0; /* a request over the limit is dropped */
        } else if (polled[0].revents) {
            usleep(100 * 1000); /* nobody is connected at the other end */
        }
    }
}

int main(int count, char **arguments)
{
    const char *name = strrchr(arguments[0], '/');
    name = name == NULL ? arguments[0] : name + 1;
    if (strcmp(name, "hfcopy") == 0 && count == 3) return copy(arguments[1], arguments[2]);
    if (strcmp(name, "agent") == 0 && count == 2) return serve(arguments[1]);
    fprintf(stderr, "usage: agent PORT | hfcopy FROM TO\n");
    return 2;
}

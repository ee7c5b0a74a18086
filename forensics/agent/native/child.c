/* The forked child: what it must not keep, what it must not disturb, and how it ends. */
#define _GNU_SOURCE
#include "walker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_NICE 10
#define SLICE_NS 4000000ULL

extern pid_t _Fork(void) __attribute__((weak)); /* glibc 2.34 and later */

/* fork() without handlers, without the allocator's lock, and, where the system call can be made directly, without a
   signal at the child's end.

   The handlers that other libraries hang on fork() may block or allocate. A child whose exit signal is 0 ends without
   SIGCHLD and is invisible to wait() and waitpid(-1) of the service (wait(2), __WALL), which is what a second fork is
   usually made for; but that second fork copies the page tables again within the pause, and where the service is
   process 1 of its container, or a subreaper, the orphan would come back to it as a stranger's zombie. */
pid_t
child_fork(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (pid_t)syscall(SYS_clone, 0UL, 0UL, 0UL, 0UL, 0UL);
#else
    return _Fork != NULL ? _Fork() : fork();
#endif
}

static void
close_range_or_each(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0U) == 0) {
        return;
    }
    struct rlimit limit;
    unsigned end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 20 ? (unsigned)limit.rlim_cur : 1 << 20;
    for (unsigned fd = first; fd <= last && fd < end; fd++) {
        close((int)fd);
    }
}

/* Listening sockets above all: a child that kept them would hold the service's port and its connections open. */
static void
close_all_but(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (a < 0 || b < 0) {
        low = high = (unsigned)(a > b ? a : b);
    }
    if (low > 0) {
        close_range_or_each(0, low - 1);
    }
    if (high > low + 1) {
        close_range_or_each(low + 1, high - 1);
    }
    close_range_or_each(high + 1, ~0U);
}

static void
die_first_when_memory_is_short(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t written = write(fd, "1000", 4);
        (void)written;
        close(fd);
    }
}

/* The service's handlers are Python; here every signal does what the kernel does by default, and those by which a
   process is asked to go are let through. */
static void
reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < _NSIG; signal++) {
        sigaction(signal, &action, NULL);
    }
    sigset_t let_through;
    sigemptyset(&let_through);
    sigaddset(&let_through, SIGALRM);
    sigaddset(&let_through, SIGTERM);
    sigaddset(&let_through, SIGINT);
    sigaddset(&let_through, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &let_through, NULL);
}

/* A thread of the service that wakes up on this core has it at once.

   Niceness alone makes it wait: since Linux 6.6 a thread keeps the core to the end of its slice, whoever wakes up, and
   is looked at again only at the next tick of the clock, up to 4 ms later, even where another core is idle. Since 6.12
   one with a shorter slice takes over at once where it is behind; the kernel's own are shorter than ours, and ours is
   no longer than a tick, after which whoever waits is looked at anyhow. In a batch the child itself never takes over
   from another. Older kernels pay no regard to the slice. */
static void
yield_to_whoever_wakes_up(void)
{
    struct { /* struct sched_attr, which no C library had before glibc 2.41 */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wanted = {.size = 48, .policy = SCHED_BATCH, .nice = CHILD_NICE, .runtime = SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &wanted, 0U) != 0) {
        struct sched_param batch = {0};
        setpriority(PRIO_PROCESS, 0, CHILD_NICE);
        sched_setscheduler(0, SCHED_BATCH, &batch);
    }
}

static void
be_humble(struct walk *w, int alive_fd, unsigned limit_seconds)
{
    /* Not prctl(), which memory profilers put their own function over to learn of names; see memory.c. */
    syscall(SYS_prctl, PR_SET_NAME, "forensics-walk", 0UL, 0UL, 0UL);
    die_first_when_memory_is_short();
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the heap must not reach a disk by way of a core dump */
    close_all_but(w->fd, alive_fd);
    yield_to_whoever_wakes_up();
    reset_signals();
    alarm(limit_seconds);
}

/* Returns the child's pid, or -1 with errno. The caller holds the interpreter lock, so no object is half made. */
pid_t
child_start(struct walk *w, int alive_fd, unsigned limit_seconds, double *pause_seconds)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the service may ever run in the child */
    double begin = monotonic_seconds();
    pid_t pid = child_fork();
    if (pid == 0) {
        be_humble(w, alive_fd, limit_seconds);
        int failure = setjmp(w->give_up);
        if (failure == 0) {
            walk_everything(w);
        }
        _exit(failure);
    }
    int error = errno;
    *pause_seconds = monotonic_seconds() - begin;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* For a child that nobody watches. */
void
child_end(pid_t child)
{
    kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) {
    }
}

static void
drop_pending_sigpipe(void)
{
    sigset_t pipe_signal;
    struct timespec now = {0, 0};
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    while (sigtimedwait(&pipe_signal, NULL, &now) > 0) {
    }
}

/* The walk in the service itself, for when there is no memory for a child; everything stands still meanwhile, at most
   ``limit_seconds``. Returns 0 or a walk_failure. */
int
walk_in_place(struct walk *w, unsigned limit_seconds)
{
    sigset_t pipe_signal, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    int flags = fcntl(w->fd, F_GETFL);
    fcntl(w->fd, F_SETFL, flags | O_NONBLOCK); /* a reader that stopped must not stop the service */
    w->deadline = monotonic_seconds() + limit_seconds;
    int failure = setjmp(w->give_up);
    if (failure == 0) {
        walk_everything(w);
    }
    private_free(w);
    fcntl(w->fd, F_SETFL, flags);
    if (failure == FAIL_WRITE && !sigismember(&before, SIGPIPE)) {
        drop_pending_sigpipe();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

/* Who reaps the child and switches the collector on again: a native thread, one for each child.

   It is no Python thread on purpose: where gevent has replaced those, nothing would ever wake it. It sleeps in
   wait4 without the interpreter lock; whatever ends the child (done, its alarm, EPIPE because the capturing side died,
   the out-of-memory killer) wakes it. */
#define _GNU_SOURCE
#include "walker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __WALL
#define __WALL 0x40000000
#endif
#define STACK_BYTES ((size_t)256 << 10)
#define REMEMBERED 64

struct watch {
    pid_t child;
    int held_collector;
    int done;
    int status;
};

static struct watch watches[REMEMBERED];
static unsigned next_watch;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int holds; /* guarded by the interpreter lock */

static int
finalizing(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

/* With the interpreter lock. A collection in the service would copy the pages that the child shares. */
int
collector_hold(void)
{
    if (holds == 0 && !PyGC_IsEnabled()) {
        return 0; /* the service, or the agent, has it off already; it stays theirs */
    }
    PyGC_Disable();
    holds++;
    return 1;
}

void
collector_release(void)
{
    if (holds > 0 && --holds == 0) {
        PyGC_Enable();
    }
}

/* In a process that the service forked meanwhile no watcher runs: nobody else would switch its collector on. */
void
watcher_forget(void)
{
    if (holds > 0) {
        holds = 0;
        PyGC_Enable();
    }
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    ended = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    memset(watches, 0, sizeof watches);
}

static void *
watch_child(void *argument)
{
    struct watch *watch = argument;
    int status = 0;
    while (waitpid(watch->child, &status, __WALL) < 0 && errno == EINTR) {
    }
    if (watch->held_collector && !finalizing()) {
        PyGILState_STATE state = PyGILState_Ensure();
        collector_release();
        PyGILState_Release(state);
    }
    pthread_mutex_lock(&lock);
    watch->status = status;
    watch->done = 1;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Returns 0, or an errno: then nobody watches, and the caller ends the child itself. */
int
watcher_start(pid_t child, int held_collector)
{
    pthread_mutex_lock(&lock);
    struct watch *watch = NULL;
    for (unsigned i = 0; i < REMEMBERED && watch == NULL; i++) {
        struct watch *candidate = &watches[next_watch++ % REMEMBERED];
        if (candidate->child == 0 || candidate->done) {
            watch = candidate;
        }
    }
    if (watch != NULL) {
        *watch = (struct watch){.child = child, .held_collector = held_collector};
    }
    pthread_mutex_unlock(&lock);
    if (watch == NULL) {
        return EAGAIN;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the service's signals are for its own threads */
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, watch_child, watch);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        watch->done = 1;
    }
    return error;
}

/* Without the interpreter lock. 1: ended, with its wait status; 0: still there after ``timeout`` seconds; -1: unknown. */
int
watcher_wait(pid_t child, double timeout, int *status)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)timeout;
    until.tv_nsec += (long)((timeout - (double)(time_t)timeout) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&lock);
    struct watch *watch = NULL;
    for (unsigned i = 0; i < REMEMBERED; i++) {
        if (watches[i].child == child) {
            watch = &watches[i];
        }
    }
    int outcome = watch == NULL ? -1 : 1;
    while (outcome == 1 && !watch->done) {
        if (pthread_cond_timedwait(&ended, &lock, &until) == ETIMEDOUT) {
            outcome = watch->done;
            break;
        }
    }
    if (outcome == 1) {
        *status = watch->status;
    }
    pthread_mutex_unlock(&lock);
    return outcome;
}

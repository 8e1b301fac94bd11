#include "tools/evaluation_workers.h"

#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/parallax.h"

enum { WORKERS_MAX = 1024 };

/* What the processes share. */
typedef struct board {
    atomic_int next, done;   /* jobs begun and finished */
    atomic_flag claimed;     /* of the first failure */
    atomic_int status;       /* of it; line[] is whole once this is set */
    char line[1024];         /* its line */
    pid_t pids[WORKERS_MAX]; /* 0: ended. The parent's */
} board;

typedef struct sharing {
    board *board;
    int jobs, first;
    const char *stage;
    plx_eval_job run;
    void *user;
} sharing;

static void fail_first(board *b, int status, const char *line) {
    if (atomic_flag_test_and_set(&b->claimed)) return;
    snprintf(b->line, sizeof b->line, "%s", line);
    atomic_store(&b->status, status);
}

static int show(const sharing *s) {
    return plx_progress_report(plx_show_progress, NULL, s->stage, s->first + atomic_load(&s->board->done),
                               s->first + s->jobs, NULL);
}

/* `alone`: no parent watches. */
static void work(const sharing *s, bool alone) {
    board *b = s->board;
    while (!atomic_load(&b->status)) {
        int job = atomic_fetch_add(&b->next, 1);
        if (job >= s->jobs) return;
        int status = s->run(job, s->user);
        if (status) {
            fail_first(b, status, plx_error());
            return;
        }
        atomic_fetch_add(&b->done, 1);
        if (alone && show(s)) fail_first(b, PLX_ERROR_CANCELLED, "stopped");
    }
}

static void stop_workers(const board *b, int workers) {
    for (int w = 0; w < workers; w++)
        if (b->pids[w]) kill(b->pids[w], SIGTERM);
}

/* Takes the ends of workers; returns how many are still at work. */
static int count_running(const sharing *s, int workers) {
    int running = 0;
    for (int w = 0; w < workers; w++) {
        int how;
        pid_t *pid = &s->board->pids[w];
        if (!*pid) continue;
        if (waitpid(*pid, &how, WNOHANG) == 0) {
            running++;
            continue;
        }
        *pid = 0;
        if (!WIFSIGNALED(how)) continue;
        char text[128];
        snprintf(text, sizeof text, "%s: a worker process ended by signal %d (%s)", s->stage, WTERMSIG(how),
                 strsignal(WTERMSIG(how)));
        fail_first(s->board, PLX_ERROR_IO, text);
    }
    return running;
}

static void watch(const sharing *s, int workers) {
    bool stopping = false;
    while (count_running(s, workers)) {
        const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
        nanosleep(&pause, NULL);
        if (show(s)) fail_first(s->board, PLX_ERROR_CANCELLED, "stopped");
        if (!atomic_load(&s->board->status) || stopping) continue;
        stop_workers(s->board, workers);
        stopping = true;
    }
    show(s);
}

static int start_workers(const sharing *s, int workers, int threads) {
    pid_t parent = getpid();
    fflush(NULL); /* or a child would print it again */
    for (int w = 0; w < workers; w++) {
        pid_t pid = fork();
        if (pid < 0) {
            int status = plx_fail(PLX_ERROR_IO, "%s: no further process: %s", s->stage, strerror(errno));
            fail_first(s->board, status, plx_error());
            return w;
        }
        if (pid) {
            s->board->pids[w] = pid;
            continue;
        }
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(1); /* it ended before the line above */
        omp_set_num_threads(threads / workers);
        work(s, false);
        _exit(0);
    }
    return workers;
}

int plx_eval_share(int jobs, int first, int threads, const char *stage, plx_eval_job run, void *user) {
    sharing s = {.jobs = jobs, .first = first, .stage = stage, .run = run, .user = user};
    int workers = threads < jobs ? threads : jobs;
    if (workers > WORKERS_MAX) workers = WORKERS_MAX;
    if (strcmp(plx_device_used(), "cpu")) workers = 1; /* a card that is open does not survive a fork */
    s.board = mmap(NULL, sizeof *s.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.board == MAP_FAILED) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", stage);
    if (workers > 1)
        watch(&s, start_workers(&s, workers, threads));
    else {
        omp_set_num_threads(threads);
        work(&s, true);
    }
    int status = atomic_load(&s.board->status);
    if (status) plx_fail(status, "%s", s.board->line);
    munmap(s.board, sizeof *s.board);
    return status;
}

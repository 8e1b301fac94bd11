/* The progress line, the two signals that stop long work, and the lines that the tools print beside it. */
#include "tools/parallax.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

/* stderr is the process's, so is what was drawn on it. */
static struct {
    bool quiet, terminal;
    char stage[32];
    double start, shown; /* seconds: of the stage, of the last line */
    int64_t first;       /* progress->done when the stage began: a resumed run does not begin at 0 */
    int width;           /* characters of the unfinished line; 0: none */
} line;

static const double interval_terminal = 0.1, interval_log = 5; /* seconds between lines */

static void request_stop(int signal_number) {
    stop_signal = signal_number;
}

bool plx_stop_requested(void) {
    return stop_signal != 0;
}

void plx_progress_start(bool quiet) {
    const char *term = getenv("TERM");
    line.quiet = quiet;
    line.terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
    /* SA_RESETHAND: the second signal finds the default action. */
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, with its line */
}

void plx_progress_end(void) {
    if (line.width) fputc('\n', stderr);
    line.width = 0;
}

/* Of the terminal: a longer line would wrap, and could not be drawn over. */
static size_t terminal_columns(void) {
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || window.ws_col < 2 ? 80 : window.ws_col;
}

/* "1:02:03", "2:03", "0:03". */
static void format_time(char *out, size_t size, double seconds) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

/* "render   42 %  101/240  12.3/s  0:11 left  NOTE"; at the end the time taken instead of the time left. */
static void format_line(char *out, size_t size, const plx_progress *p, double now) {
    double elapsed = now - line.start, rate = elapsed > 0 ? (double)(p->done - line.first) / elapsed : 0;
    double percent = p->total > 0 ? 100.0 * (double)p->done / (double)p->total : 0;
    bool finished = p->done >= p->total;
    char when[32] = "", speed[32] = "";
    if (finished)
        format_time(when, sizeof when, elapsed);
    else if (rate > 0)
        format_time(when, sizeof when, (double)(p->total - p->done) / rate);
    if (rate > 0) snprintf(speed, sizeof speed, rate >= 1 ? "  %.1f/s" : "  %.3g/s", rate);
    snprintf(out, size, "%s %3.0f %%  %lld/%lld%s%s%s%s%s%s", p->stage, percent, (long long)p->done,
             (long long)p->total, speed, *when ? "  " : "", when, *when && !finished ? " left" : "",
             p->note ? "  " : "", p->note ? p->note : "");
}

int plx_quiet_progress(const plx_progress *progress, void *user) {
    (void)progress, (void)user;
    return plx_stop_requested();
}

int plx_show_progress(const plx_progress *progress, void *user) {
    (void)user;
    if (line.quiet) return stop_signal;
    double now = plx_now();
    if (strncmp(line.stage, progress->stage, sizeof line.stage - 1) || progress->done < line.first) {
        plx_progress_end();
        snprintf(line.stage, sizeof line.stage, "%s", progress->stage);
        line.start = now;
        line.first = progress->done;
        line.shown = line.terminal ? 0 : now; /* a log starts with the first interval that passes */
    }
    bool finished = progress->done >= progress->total;
    if (!finished && now - line.shown < (line.terminal ? interval_terminal : interval_log))
        return stop_signal;
    char text[256];
    format_line(text, sizeof text, progress, now);
    if (line.terminal) {
        size_t columns = terminal_columns();
        if (columns <= strlen(text)) text[columns - 1] = 0;
        int width = (int)strlen(text);
        fprintf(stderr, "\r%s%*s", text, line.width > width ? line.width - width : 0, "");
        line.width = width;
        if (finished) plx_progress_end();
    } else
        fprintf(stderr, "%s\n", text);
    line.shown = now;
    if (finished) line.stage[0] = 0; /* the next report begins a stage, whatever its name */
    return stop_signal;
}

static void say(const char *format, va_list arguments) {
    plx_progress_end();
    fputs("parallax: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void plx_note(const char *format, ...) {
    if (line.quiet) return;
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void plx_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

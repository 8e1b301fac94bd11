#include "tools/jobs.h"

#include "tools/parallax.h"

int plx_run_jobs(const char *stage, int count, plx_job_fn job, void *user) {
    int status = PLX_OK, done = 0;
    char line[1024] = "";
#pragma omp parallel for schedule(dynamic, 1) if (count > 1) /* a single job may use all threads itself */
    for (int i = 0; i < count; i++) {
        int stop;
#pragma omp atomic read
        stop = status;
        if (stop) continue;
        int result = job(i, user);
#pragma omp critical(run_jobs)
        {
            plx_progress progress = {.stage = stage, .done = ++done, .total = count};
            if (!result && plx_show_progress(&progress, NULL))
                result = plx_fail(PLX_ERROR_CANCELLED, "stopped");
            if (result && !status) {
                snprintf(line, sizeof line, "%s", plx_error());
#pragma omp atomic write
                status = result;
            }
        }
    }
    plx_progress_end();
    return status ? plx_fail(status, "%s", line) : PLX_OK;
}

/* Independent jobs over all threads, one thread each. */
#ifndef PLX_TOOLS_JOBS_H
#define PLX_TOOLS_JOBS_H

/* Returns a plx_status; called from any thread. */
typedef int (*plx_job_fn)(int index, void *user);

/* Jobs 0 .. count - 1 with a progress line under `stage`. The first error, or the user's stop, keeps further jobs from
 * starting and is returned, its message this thread's plx_error(). */
int plx_run_jobs(const char *stage, int count, plx_job_fn job, void *user);

#endif

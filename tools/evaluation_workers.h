/* Jobs shared among processes: objects are independent, and one thread each uses the cores better than all threads on
 * one object. */
#ifndef PLX_TOOLS_EVALUATION_WORKERS_H
#define PLX_TOOLS_EVALUATION_WORKERS_H

/* Job `job`; a status. In a worker process: what it leaves must be in files. */
typedef int (*plx_eval_job)(int job, void *user);

/* Runs jobs 0 .. jobs-1 in up to `threads` processes, each with its share of the threads, or in this one when one would do.
 * To be called before any OpenMP region of more than one thread (fork). The first failure stops the others and is
 * returned, with its line. Shows progress as `stage`, on a scale of first .. first + jobs. */
int plx_eval_share(int jobs, int first, int threads, const char *stage, plx_eval_job run, void *user);

#endif

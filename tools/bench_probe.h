/* The machine's own peaks, measured: multiply-adds in registers, and memory traffic over working sets of many sizes; a card's
 * also of products of matrices. */
#ifndef PLX_TOOLS_BENCH_PROBE_H
#define PLX_TOOLS_BENCH_PROBE_H

#include <jansson.h>

enum { PLX_PEAK_SETS = 8, PLX_PEAK_THREADS = 64 };

typedef struct plx_peaks {
    int threads;                    /* that the bandwidths and most[threads - 1] hold for */
    double flops[PLX_PEAK_THREADS]; /* [t - 1]: float32 operations a second on t threads; 0: not measured */
    int sets;
    double products; /* a card's operations a second in products of matrices, in the precision in use */
    double set_bytes[PLX_PEAK_SETS], bandwidth[PLX_PEAK_SETS]; /* all threads' working set; bytes a second */
} plx_peaks;

/* A second or two of work. PLX_ERROR_CANCELLED when stopped. */
int plx_peaks_measure(plx_peaks *out, int threads);

int plx_peaks_measure_card(plx_peaks *out); /* of the device in use; threads is 1 */

/* The time that the peaks allow for so many operations and bytes, the slower of the two: bytes at the speed of the
 * smallest measured working set that holds them. *bound says which: "flops", "bytes", or NULL with 0 when neither is
 * stated. */
double plx_peaks_bound(const plx_peaks *peaks, double flops, double bytes, const char **bound);

json_t *plx_peaks_json(const plx_peaks *peaks); /* a new reference */

#endif

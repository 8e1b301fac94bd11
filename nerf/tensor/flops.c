#include "nerf/tensor/flops.h"

double plx_flops_conv(plx_conv_size s) {
    double outputs = (double)s.N * (s.H / s.stride) * (s.W / s.stride) * s.O;
    return 2 * outputs * s.I * s.K * s.K;
}

double plx_flops_linear(size_t M, int I, int O) {
    return 2.0 * (double)M * I * O;
}

double plx_flops_attention(plx_attention_size s) {
    return 4.0 * s.N * s.heads * s.Q * s.K * s.d;
}

double plx_flops_field(plx_field_size s) {
    double lookup = 2.0 * 4 * (2 * s.C + plx_field_xy_channels(s));
    return lookup + 2.0 * s.H * (plx_field_inputs(s) + s.H + plx_field_outputs(s));
}

/* ---- counting ------------------------------------------------------------------------------------------ */

static plx_kernels counting;
static const plx_kernels *cpu;
static double counted;

double plx_flops_counted(void) {
    double flops = counted;
    counted = 0;
    return flops;
}

static void conv_fwd(plx_conv_size s, const float *x, const float *w, const float *b, float *y) {
    counted += plx_flops_conv(s);
    cpu->conv_fwd(s, x, w, b, y);
}

static void conv_bwd(plx_conv_size s, const float *x, const float *w, const float *dy, float *dx, float *dw,
                     float *db) {
    counted += plx_flops_conv(s) * ((dx != NULL) + (dw != NULL));
    cpu->conv_bwd(s, x, w, dy, dx, dw, db);
}

static void linear_fwd(size_t M, int I, int O, const float *x, const float *w, const float *b, float *y) {
    counted += plx_flops_linear(M, I, O);
    cpu->linear_fwd(M, I, O, x, w, b, y);
}

static void linear_bwd(size_t M, int I, int O, const float *x, const float *w, const float *dy, float *dx,
                       float *dw, float *db) {
    counted += plx_flops_linear(M, I, O) * ((dx != NULL) + (dw != NULL));
    cpu->linear_bwd(M, I, O, x, w, dy, dx, dw, db);
}

static void attention_fwd(plx_attention_size s, const float *q, const float *k, const float *v, float *lse,
                          float *y) {
    counted += plx_flops_attention(s);
    cpu->attention_fwd(s, q, k, v, lse, y);
}

static void attention_bwd(plx_attention_size s, const float *q, const float *k, const float *v,
                          const float *lse, const float *y, const float *dy, float *dq, float *dk,
                          float *dv) {
    counted += plx_flops_attention(s) / 2 * (1 + (dv != NULL) + 1 + (dq != NULL) + (dk != NULL));
    cpu->attention_bwd(s, q, k, v, lse, y, dy, dq, dk, dv);
}

static void field_fwd(plx_field_size s, const plx_field_tensors *p, plx_points points, float *values) {
    counted += plx_flops_field(s) * points.M;
    cpu->field_fwd(s, p, points, values);
}

static void field_bwd(plx_field_size s, const plx_field_tensors *p, plx_points points, const float *dvalues,
                      const plx_field_tensors *dp) {
    counted += (2 + (dp->w1 != NULL)) * plx_flops_field(s) * points.M;
    cpu->field_bwd(s, p, points, dvalues, dp);
}

int plx_flops_device(plx_device *out) {
    plx_device device;
    int status = plx_device_open(&device, NULL);
    if (status) return status;
    cpu = device.kernels;
    counting = *cpu;
    counting.conv_fwd = conv_fwd, counting.conv_bwd = conv_bwd;
    counting.linear_fwd = linear_fwd, counting.linear_bwd = linear_bwd;
    counting.attention_fwd = attention_fwd, counting.attention_bwd = attention_bwd;
    counting.field_fwd = field_fwd, counting.field_bwd = field_bwd;
    *out = (plx_device){&counting, device.name, device.memory};
    return PLX_OK;
}

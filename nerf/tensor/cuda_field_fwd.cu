/* The field, forward: lookup, MLP and activations in one pass; only the values leave the block. */
#include "nerf/tensor/cuda_field.h"

/* ---- packing ------------------------------------------------------------------------------------------------------ */

static __global__ void field_pack(plx_field_size s, int J, plx_field_tensors p, float *packed) {
    const int I = plx_cuda_inputs(s), O = plx_cuda_outputs(s), H = s.H, columns = H + 4;
    const int at = (int)(blockIdx.x * blockDim.x + threadIdx.x), row = at / columns, place = at % columns;
    if (at >= plx_cuda_packed_floats(s)) return;
    float value = 0;
    if (row >= I + H + O + 2) {
        if (place < O) value = p.b3[place];
    } else if (place < H) {
        const int unit = plx_cuda_unit(place, J);
        if (row < I)
            value = p.w1[unit * I + row];
        else if (row < I + H)
            value = p.w2[unit * H + row - I];
        else if (row < I + H + O)
            value = p.w3[(row - I - H) * H + unit];
        else
            value = (row == I + H + O ? p.b1 : p.b2)[unit];
    }
    packed[at] = value;
}

void plx_cuda_field_pack(plx_field_size s, int RO, const plx_field_tensors *p, float *packed) {
    const plx_field_tensors weights = *p;
    const int J = s.H / RO;
    PLX_LAUNCH(field_pack, plx_cuda_blocks((size_t)plx_cuda_packed_floats(s), 256), 256, 0, s, J, weights,
               packed);
}

/* ---- forward ------------------------------------------------------------------------------------------------------ */

/* `near`: the weights are copied to shared memory, and planes and values are read several floats at a time; else weights
 * are read where they are, and numbers singly. */
template <class S, int RO, int RP, int TP, bool near>
static __device__ __forceinline__ void field_forward_block(const S &s, const plx_field_tensors &p,
                                                           const float *packed, const plx_points &points,
                                                           float *values) {
    constexpr int ROW = TP + 4;
    const int I = plx_cuda_inputs(s), O = plx_cuda_outputs(s), H = s.H;
    PLX_SHARED_DYNAMIC(float, shared);
    float *x = shared + (near ? plx_cuda_packed_floats(s) : 0), *rgb = x + plx_cuda_rows<RO>(s) * ROW;
    if (near) plx_cuda_copy(packed, shared, plx_cuda_packed_floats(s));
    const plx_cuda_packed w = plx_cuda_unpack(s, near ? shared : packed);
    const plx_cuda_place<RO, RP, TP> at(s);
    for (int first = (int)blockIdx.x * TP; first < points.M; first += (int)gridDim.x * TP) {
        float sum[RO][RP];
        plx_cuda_gather<TP, near>(s, p, points, first, x, s.guided ? rgb : nullptr);
        __syncthreads();
        at.product(sum, I, H, w.w1, w.b1, x);
        __syncthreads();
        for (int r = 0; r < RO; r++)
            for (int i = 0; i < RP; i++) sum[r][i] *= plx_cuda_sigmoid(sum[r][i]);
        at.store(sum, x);
        __syncthreads();
        at.product(sum, H, H, w.w2, w.b2, x);
        __syncthreads();
        for (int r = 0; r < RO; r++)
            for (int i = 0; i < RP; i++) sum[r][i] *= plx_cuda_sigmoid(sum[r][i]);
        at.outputs(sum, O, H, w.w3, x);
        __syncthreads();
        for (int i = (int)threadIdx.x; i < TP && first + i < points.M; i += (int)blockDim.x) {
            float out[5], mixed[3];
            plx_cuda_activate<ROW>(s, at.J, x + i, w.b3, out);
            for (int c = 0; c < 3; c++)
                mixed[c] = s.guided ? (1 - out[4]) * out[1 + c] + out[4] * rgb[c * ROW + i] : out[1 + c];
            float *to = values + 4 * (size_t)(first + i);
            if (near)
                *(float4 *)to = make_float4(out[0], mixed[0], mixed[1], mixed[2]);
            else
                to[0] = out[0], to[1] = mixed[0], to[2] = mixed[1], to[3] = mixed[2];
        }
        __syncthreads();
    }
}

template <class S>
static __global__ void __launch_bounds__(2 * S::H, 384 / (2 * S::H))
    field_forward(S s, plx_field_tensors p, const float *packed, plx_points points, float *values) {
    field_forward_block<S, 8, 8, 128, true>(s, p, packed, plx_cuda_counted(points, s.N), values);
}

static __global__ void __launch_bounds__(256)
    field_forward_any(plx_field_size s, plx_field_tensors p, const float *packed, plx_points points,
                      float *values) {
    field_forward_block<plx_field_size, 4, 4, 16, false>(s, p, packed, plx_cuda_counted(points, s.N), values);
}

/* Whether these sizes have a kernel of their own, and a block of the card the memory for it. */
template <class S>
static bool field_forward_fixed(plx_field_size size, const plx_field_tensors *p, plx_points points,
                                float *values) {
    const S s(size);
    const size_t shared =
        sizeof(float) * ((size_t)plx_cuda_packed_floats(s) + (size_t)(plx_cuda_rows<8>(s) + 3) * (128 + 4));
    if (!S::is(size) || shared > plx_cuda_shared_limit() || !plx_cuda_field_wide(p, values)) return false;
    float *packed = plx_cuda_scratch(PLX_CUDA_FIELD, (size_t)plx_cuda_packed_floats(s));
    const plx_field_tensors planes = *p;
    plx_cuda_field_pack(size, 8, p, packed);
    PLX_LAUNCH(field_forward<S>, plx_cuda_field_blocks(points.M, 128, 396), 2 * S::H, shared, s, planes,
               packed, points, values);
    return true;
}

extern "C" void plx_cuda_field_fwd(plx_field_size s, const plx_field_tensors *p, plx_points points,
                                   float *values) {
    if (points.M == 0 || field_forward_fixed<plx_cuda_field_model>(s, p, points, values) ||
        field_forward_fixed<plx_cuda_field_fit>(s, p, points, values))
        return;
    float *packed = plx_cuda_scratch(PLX_CUDA_FIELD, (size_t)plx_cuda_packed_floats(s));
    const plx_field_tensors planes = *p;
    const size_t shared = sizeof(float) * (size_t)(plx_cuda_rows<4>(s) + 3) * (16 + 4);
    plx_cuda_field_pack(s, 4, p, packed);
    PLX_LAUNCH(field_forward_any, plx_cuda_field_blocks(points.M, 16, 396), s.H, shared, s, planes, packed,
               points, values);
}

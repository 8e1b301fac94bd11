/* The only file that includes Embree (3.13). */
#include "render/embree.h"

#include <embree3/rtcore.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "nerf/core/error.h"

struct plx_tracer {
    RTCScene scene;
};

/* One device for the process. One thread builds each BVH, so that a scene is the same on every machine load,
 * and the callers' threads are the only ones. */
static RTCDevice device;
static pthread_once_t device_once = PTHREAD_ONCE_INIT;

static void make_device(void) {
    device = rtcNewDevice("threads=1,set_affinity=0");
}

int plx_tracer_create(plx_tracer **out, const plx_mesh *mesh) {
    *out = NULL;
    pthread_once(&device_once, make_device);
    if (!device)
        return plx_fail(PLX_ERROR_SUPPORT, "Embree cannot start (error %d)", (int)rtcGetDeviceError(NULL));
    plx_tracer *tracer = calloc(1, sizeof *tracer);
    if (!tracer) return plx_fail(PLX_ERROR_MEMORY, "no memory for a scene");
    rtcGetDeviceError(device); /* clears this thread's */
    tracer->scene = rtcNewScene(device);
    rtcSetSceneFlags(tracer->scene, RTC_SCENE_FLAG_COMPACT | RTC_SCENE_FLAG_ROBUST);
    RTCGeometry geometry = rtcNewGeometry(device, RTC_GEOMETRY_TYPE_TRIANGLE);
    rtcSetSharedGeometryBuffer(geometry, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, mesh->positions, 0, 12,
                               (size_t)mesh->vertices);
    rtcSetSharedGeometryBuffer(geometry, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, mesh->indices, 0, 12,
                               (size_t)mesh->triangles);
    rtcCommitGeometry(geometry);
    rtcAttachGeometry(tracer->scene, geometry);
    rtcReleaseGeometry(geometry);
    rtcCommitScene(tracer->scene);
    enum RTCError error = rtcGetDeviceError(device);
    if (error != RTC_ERROR_NONE) {
        plx_tracer_free(tracer);
        return plx_fail(error == RTC_ERROR_OUT_OF_MEMORY ? PLX_ERROR_MEMORY : PLX_ERROR_SUPPORT,
                        "Embree cannot build a scene of %d triangles (error %d)", mesh->triangles,
                        (int)error);
    }
    *out = tracer;
    return PLX_OK;
}

void plx_tracer_free(plx_tracer *tracer) {
    if (!tracer) return;
    rtcReleaseScene(tracer->scene);
    free(tracer);
}

bool plx_tracer_ray(const plx_tracer *tracer, const float origin[3], const float direction[3], float near,
                    float far, plx_hit *hit) {
    struct RTCIntersectContext context;
    rtcInitIntersectContext(&context);
    struct RTCRayHit query = {.ray = {.org_x = origin[0],
                                      .org_y = origin[1],
                                      .org_z = origin[2],
                                      .tnear = near,
                                      .dir_x = direction[0],
                                      .dir_y = direction[1],
                                      .dir_z = direction[2],
                                      .tfar = far,
                                      .mask = ~0u},
                              .hit = {.geomID = RTC_INVALID_GEOMETRY_ID}};
    rtcIntersect1(tracer->scene, &context, &query);
    hit->triangle = query.hit.geomID == RTC_INVALID_GEOMETRY_ID ? -1 : (int)query.hit.primID;
    if (hit->triangle < 0) return false;
    hit->distance = query.ray.tfar;
    hit->u = query.hit.u;
    hit->v = query.hit.v;
    hit->normal[0] = query.hit.Ng_x;
    hit->normal[1] = query.hit.Ng_y;
    hit->normal[2] = query.hit.Ng_z;
    return true;
}

void plx_tracer_packet(const plx_tracer *tracer, const float origin[3], int count,
                       const float (*directions)[3], plx_hit *hits) {
    struct RTCIntersectContext context;
    rtcInitIntersectContext(&context);
    context.flags = RTC_INTERSECT_CONTEXT_FLAG_COHERENT;
    struct RTCRayHit16 query;
    int valid[PLX_PACKET] __attribute__((aligned(64)));
    for (int i = 0; i < PLX_PACKET; i++) {
        int k = i < count ? i : count - 1;
        valid[i] = i < count ? -1 : 0;
        query.ray.org_x[i] = origin[0];
        query.ray.org_y[i] = origin[1];
        query.ray.org_z[i] = origin[2];
        query.ray.dir_x[i] = directions[k][0];
        query.ray.dir_y[i] = directions[k][1];
        query.ray.dir_z[i] = directions[k][2];
        query.ray.tnear[i] = 0;
        query.ray.tfar[i] = INFINITY;
        query.ray.time[i] = 0;
        query.ray.mask[i] = ~0u;
        query.ray.id[i] = 0;
        query.ray.flags[i] = 0;
        query.hit.geomID[i] = RTC_INVALID_GEOMETRY_ID;
        query.hit.instID[0][i] = RTC_INVALID_GEOMETRY_ID;
    }
    rtcIntersect16(valid, tracer->scene, &context, &query);
    for (int i = 0; i < count; i++) {
        bool missed = query.hit.geomID[i] == RTC_INVALID_GEOMETRY_ID;
        hits[i] = (plx_hit){.distance = query.ray.tfar[i],
                            .triangle = missed ? -1 : (int)query.hit.primID[i],
                            .u = query.hit.u[i],
                            .v = query.hit.v[i],
                            .normal = {query.hit.Ng_x[i], query.hit.Ng_y[i], query.hit.Ng_z[i]}};
    }
}

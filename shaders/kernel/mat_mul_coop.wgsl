// Matmul (GEMM), y = x·Wᵀ, for large batches with cooperative matrices (tensor cores). A workgroup computes a TILE × TILE
// tile of y, and each of four subgroups a quarter of it. Operands are f16 in workgroup memory, sums are f32.
//
//   for each DEPTH columns: load a tile of x and decode a tile of W into workgroup memory, as f16
//       for each EDGE columns: acc[i][j] = coopMultiplyAdd(a[i], b[j], acc[i][j])
//   store acc to workgroup memory, and from there to y with bounds checks and epilogue
//
// WORKGROUP_SIZE is for the largest subgroup size. With smaller subgroups there are more than four, and the surplus ones
// repeat the same quarters.
//# include "shared/epilogue.wgsl"
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
// Cooperative matrices per edge of a subtile, and how many fit the 256 values that each subgroup has in `sums`.
//# set side = TILE // 2 // EDGE
//# set at_once = 256 // (EDGE * EDGE)
//# set matrix = "coop_mat" ~ EDGE ~ "x" ~ EDGE
// Edge of the quarter of the tile that a subgroup computes.
const SUBTILE: u32 = TILE / 2u;
const QUADS: u32 = DEPTH / 4u;
// Rows of the tiles are padded by eight values against bank conflicts.
const ROW_STRIDE: u32 = DEPTH + 8u;
// Values of a cooperative matrix.
const MATRIX_LEN: u32 = EDGE * EDGE;
// Largest finite f16. x is clamped to it, because larger values would become infinite.
const LARGEST: vec4f = vec4f(65504.0);
var<workgroup> xs: array<f16, TILE * ROW_STRIDE>;
var<workgroup> ws: array<f16, TILE * ROW_STRIDE>;
var<workgroup> sums: array<f32, 4u * 256u>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    // Inlined `group_index`: naga does not track uniformity through the result of a function.
    let group = at_group.y * groups.x + at_group.x;
    let tiles = (params.n_rows + TILE - 1u) / TILE;
    let vec0 = (group / tiles) * TILE;
    let row_first = (group % tiles) * TILE;
    if vec0 >= params.n_vecs {
        return;
    }
    let quarter = subgroup % 4u;
    let xs_first = quarter / 2u * SUBTILE * ROW_STRIDE;
    let ws_first = quarter % 2u * SUBTILE * ROW_STRIDE;
    // Zeros are loaded explicitly, because Metal leaves a matrix without an initial value unspecified.
    for (var i = local; i < MATRIX_LEN; i += WORKGROUP_SIZE) {
        sums[i] = 0.0;
    }
    //# for src in tables
    ${src}_fill_table(local);
    //# endfor
    workgroupBarrier();
    //# for i in range(side)
    //# for j in range(side)
    var acc${i}_${j} = coopLoadT<${matrix}<f32, C>>(&sums[0], EDGE);
    //# endfor
    //# endfor
    let quads = params.n_cols / 4u;
    for (var k = 0u; k < quads; k += QUADS) {
        for (var i = local; i < TILE * QUADS; i += WORKGROUP_SIZE) {
            let at = k + i % QUADS;
            let vector = min(vec0 + i / QUADS, params.n_vecs - 1u);
            let v = select(vec4f(), x[vector * quads + column(min(at, quads - 1u))], at < quads);
            let h = vec4<f16>(clamp(v, -LARGEST, LARGEST));
            let to = i / QUADS * ROW_STRIDE + i % QUADS * 4u;
            //# for c in range(4)
            xs[to + ${c}u] = h[${c}];
            //# endfor
        }
        for (var i = local; i < TILE * QUADS / UNPACK_QUADS; i += WORKGROUP_SIZE) {
            let at = k + i % (QUADS / UNPACK_QUADS) * UNPACK_QUADS;
            let row = min(row_first + i / (QUADS / UNPACK_QUADS), params.n_rows - 1u);
            let w = weights_unpack(weights_row(row, params.stride), params.n_cols, min(at, quads - UNPACK_QUADS) / UNPACK_QUADS);
            let to = i / (QUADS / UNPACK_QUADS) * ROW_STRIDE + i % (QUADS / UNPACK_QUADS) * UNPACK_LEN;
            //# for s in range(UNPACK_LEN // 4)
            let h${s} = vec4<f16>(select(vec4f(), w[${s}], at < quads));
            //# for c in range(4)
            ws[to + ${4 * s + c}u] = h${s}[${c}];
            //# endfor
            //# endfor
        }
        workgroupBarrier();
        //# for d in range(0, DEPTH, EDGE)
        {
            // coopLoadT reads row-major, coopLoad column-major: so `b` is Wᵀ, although `ws` holds rows of W.
            //# for i in range(side)
            let a${i} = coopLoadT<${matrix}<f16, A>>(&xs[xs_first + ${i} * EDGE * ROW_STRIDE + ${d}u], ROW_STRIDE);
            let b${i} = coopLoad<${matrix}<f16, B>>(&ws[ws_first + ${i} * EDGE * ROW_STRIDE + ${d}u], ROW_STRIDE);
            //# endfor
            //# for i in range(side)
            //# for j in range(side)
            acc${i}_${j} = coopMultiplyAdd(a${i}, b${j}, acc${i}_${j});
            //# endfor
            //# endfor
        }
        //# endfor
        workgroupBarrier();
    }
    // Each pass stores `at_once` matrices of each subgroup to `sums`. Then all invocations write them to y.
    //# for first in range(0, side * side, at_once)
    //# for b in range(at_once)
    coopStoreT(acc${(first + b) // side}_${(first + b) % side}, &sums[quarter * 256u + ${b} * MATRIX_LEN], EDGE);
    //# endfor
    workgroupBarrier();
    for (var i = local; i < 4u * 256u; i += WORKGROUP_SIZE) {
        let owner = i / 256u;
        let matrix_index = ${first}u + i % 256u / MATRIX_LEN;
        let vector = vec0 + owner / 2u * SUBTILE + matrix_index / ${side}u * EDGE + i % MATRIX_LEN / EDGE;
        let row = row_first + owner % 2u * SUBTILE + matrix_index % ${side}u * EDGE + i % EDGE;
        if vector < params.n_vecs && row < params.n_rows {
            write_output(vector * params.ld + params.row0 + row, sums[i]);
        }
    }
    //# if not loop.last
    workgroupBarrier();
    //# endif
    //# endfor
}

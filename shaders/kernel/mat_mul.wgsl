// Tiled matmul (GEMM), y = x·Wᵀ, for large batches. A workgroup computes a tile of y, an invocation VECS × ROWS of it.
// Accumulators are f32. With f16 tiles, the `dot` of two vec4s is f16.
//
//   for each DEPTH columns: load a tile of x and decode a tile of W into workgroup memory
//       for each vec4 of columns: acc[VECS][ROWS] += a[VECS] · b[ROWS]
//   y = acc, or y += acc
//
// Bank conflicts: eight adjacent invocations read different rows of `ws` at once. Unpadded rows of f32 have a multiple of
// 32 words, the usual number of banks, so the reads would conflict. So rows of `ws` are padded by one vec4 (ROW_STRIDE).
// The same invocations read one row of `xs`, which is a broadcast. Their rows of W are adjacent, so that stores coalesce.
//# include reduce
//# include "shared/dot_add.wgsl"
//# include "shared/epilogue.wgsl"
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
const TILE_VECS: u32 = 8u * VECS;
const TILE_ROWS: u32 = 8u * ROWS;
const QUADS: u32 = DEPTH / 4u;
var<workgroup> xs: array<vec4<Tile>, TILE_VECS * QUADS>;
const ROW_STRIDE: u32 = QUADS + 1u;
var<workgroup> ws: array<vec4<Tile>, TILE_ROWS * ROW_STRIDE>;

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let group = group_index(at_group, groups);
    let tiles = (params.n_rows + TILE_ROWS - 1u) / TILE_ROWS;
    let vec0 = (group / tiles) * TILE_VECS;
    let row_first = (group % tiles) * TILE_ROWS;
    if vec0 >= params.n_vecs {
        return;
    }
    let tx = ids.local % 8u;
    let ty = ids.local / 8u;
    //# for i in range(VECS)
    //# for j in range(ROWS)
    var acc${i}_${j} = 0.0;
    //# endfor
    //# endfor
    let quads = params.n_cols / 4u;
    for (var k = 0u; k < quads; k += QUADS) {
        // Columns and rows beyond the matrix are clamped for the load. Columns are then set to zero, rows are not stored.
        for (var i = ids.local; i < TILE_VECS * QUADS; i += WORKGROUP_SIZE) {
            let at = k + i % QUADS;
            let vector = min(vec0 + i / QUADS, params.n_vecs - 1u);
            xs[i] = vec4<Tile>(select(vec4f(), x[vector * quads + column(min(at, quads - 1u))], at < quads));
        }
        // Chunks keep the order in which they unpack, and `column` puts x into the same order.
        for (var i = ids.local; i < TILE_ROWS * QUADS / UNPACK_QUADS; i += WORKGROUP_SIZE) {
            let first = (i % (QUADS / UNPACK_QUADS)) * UNPACK_QUADS;
            let at = k + first;
            let tile_row = i / (QUADS / UNPACK_QUADS);
            let row = min(row_first + tile_row, params.n_rows - 1u);
            let w = weights_unpack(weights_row(row, params.stride), params.n_cols, min(at, quads - UNPACK_QUADS) / UNPACK_QUADS);
            //# for s in range(UNPACK_LEN // 4)
            ws[tile_row * ROW_STRIDE + first + ${s}u] = vec4<Tile>(select(vec4f(), w[${s}], at < quads));
            //# endfor
        }
        workgroupBarrier();
        for (var q = 0u; q < QUADS; q++) {
            //# for j in range(ROWS)
            let b${j} = ws[(tx + ${8 * j}u) * ROW_STRIDE + q];
            //# endfor
            //# for i in range(VECS)
            let a${i} = xs[(ty * ${VECS}u + ${i}u) * QUADS + q];
            //# for j in range(ROWS)
            //# if F32_TILES
            acc${i}_${j} = dot_add(a${i}, b${j}, acc${i}_${j});
            //# else
            acc${i}_${j} += f32(dot(a${i}, b${j}));
            //# endif
            //# endfor
            //# endfor
        }
        workgroupBarrier();
    }
    //# for i in range(VECS)
    //# for j in range(ROWS)
    if vec0 + ty * ${VECS}u + ${i}u < params.n_vecs && row_first + tx + ${8 * j}u < params.n_rows {
        write_output((vec0 + ty * ${VECS}u + ${i}u) * params.ld + params.row0 + row_first + tx + ${8 * j}u, acc${i}_${j});
    }
    //# endfor
    //# endfor
}

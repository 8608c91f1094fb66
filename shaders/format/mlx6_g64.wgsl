// MLX's affine groups of 64 weights, 6 bits each.
//# with bits = 6, group = 64
//# include "shared/mlx.wgsl"
//# endwith

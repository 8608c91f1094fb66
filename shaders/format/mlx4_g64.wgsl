// MLX's affine groups of 64 weights, 4 bits each.
//# with bits = 4, group = 64
//# include "shared/mlx.wgsl"
//# endwith
